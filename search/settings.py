"""Settings of a search: the [search] table of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from assay.models.settings import Settings
from assay.search.importances import DEFAULT_EVALUATOR, EVALUATORS, get_evaluator
from assay.search.objective import Direction, Objectives
from assay.search.pruners import get_pruner
from assay.search.pruners.base import PrunerRequest
from assay.search.samplers import get_sampler

if TYPE_CHECKING:
    from assay.search.space import Space


def _check_sampler(name: str) -> str:
    return get_sampler(name).name


def _check_pruner(name: str) -> str:
    return get_pruner(name).name


def _check_evaluator(name: str) -> str:
    return get_evaluator(name).name


def _check_objectives(texts: list[str]) -> list[str]:
    return [str(objective) for objective in Objectives.read(texts).each]


class SearchSettings(Settings):
    """The [search] table."""

    trials: int = Field(
        default=30, ge=1, description="Number of complete and pruned trials that end the study."
    )
    sampler: Annotated[str, AfterValidator(_check_sampler)] = Field(
        default="tpe", description="The sampler: it proposes the next configuration."
    )
    sampler_options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the sampler, with Optuna's names."
    )
    pruner: Annotated[str, AfterValidator(_check_pruner)] = Field(
        default="none", description="The pruner: it stops trials before their last epoch."
    )
    pruner_options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the pruner, with Optuna's names; a step is an epoch.",
    )
    objectives: Annotated[list[str], AfterValidator(_check_objectives)] = Field(
        default=["maximize val_accuracy"],
        description="One objective or several: a direction and a metric of a trial's last epoch, "
        "or a cost of the trial.",
    )
    any_direction: bool = Field(
        default=False,
        description="Whether an objective may ask for the worst value of its metric, such as "
        "maximize val_loss.",
    )
    importance: Annotated[str, AfterValidator(_check_evaluator)] = Field(
        default=DEFAULT_EVALUATOR,
        description=f"Evaluator of the importance of hyperparameters: {', '.join(EVALUATORS)}.",
    )

    question: str | None = Field(
        default=None,
        description="The hyperparameter that the search asks about, one of [space]: the report "
        "answers it by what finalize trained again.",
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        self.read_sampler_options()
        self.read_pruner_options()
        self.check_directions()
        return self

    @property
    def goals(self) -> Objectives:
        """The objectives, parsed."""
        return Objectives.read(self.objectives)

    def check_directions(self, natural: Mapping[str, Direction] = MappingProxyType({})) -> None:
        """Check that no objective is the worse direction of its metric, unless the file allows it.

        Args:
            natural: directions of a user's own metrics; see `Objectives.check_directions`.

        Raises:
            RequestError: an objective asks for the worst value.
        """
        if not self.any_direction:
            self.goals.check_directions(natural)

    def read_sampler_options(self) -> Settings:
        """Return the options of the sampler, as its class of settings.

        Raises:
            RequestError: the sampler has no such option, or an option cannot have its value.
        """
        options: Settings = get_sampler(self.sampler).settings.read(
            self.sampler_options, "[search] sampler_options"
        )
        return options

    def read_pruner_options(self) -> Settings:
        """Return the options of the pruner, as its class of settings.

        Raises:
            RequestError: the pruner has no such option, or an option cannot have its value.
        """
        options: Settings = get_pruner(self.pruner).settings.read(
            self.pruner_options, "[search] pruner_options"
        )
        return options

    def changed(self, **changes: Any) -> Self:
        """Return the settings with some changes.

        The options of a sampler or a pruner are dropped if another one is chosen.

        Raises:
            RequestError: a setting cannot have its value.
        """
        kept = self.model_dump()
        for part in ("sampler", "pruner"):
            if changes.get(part, kept[part]) != kept[part]:
                del kept[f"{part}_options"]
        return self.read({**kept, **changes}, "[search]")

    def check(self, space: Space, epochs: int) -> None:
        """Check the settings against the space and the epochs of an experiment.

        Args:
            space: the search space.
            epochs: the most epochs that a trial can have.

        Raises:
            RequestError: the sampler cannot search the space, or not for so many trials; the
                pruner's options do not suit the epochs; a package is not installed.
        """
        sampler, pruner = get_sampler(self.sampler), get_pruner(self.pruner)
        sampler.check_trials(self.trials)
        pruner.check(PrunerRequest(epochs, self.read_pruner_options()))
        sampler.check(space, len(self.objectives))
        get_evaluator(self.importance).check()
