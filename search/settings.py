"""The [search] table of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from assay.models.settings import Settings
from assay.search.importances import EVALUATORS, get_evaluator
from assay.search.objective import Objectives
from assay.search.pruners import get_pruner
from assay.search.pruners.base import PrunerRequest
from assay.search.samplers import get_sampler

if TYPE_CHECKING:
    from assay.search.space import Space


def _sampler(name: str) -> str:
    return get_sampler(name).name


def _pruner(name: str) -> str:
    return get_pruner(name).name


def _importance(name: str) -> str:
    return get_evaluator(name).name


def _objectives(texts: list[str]) -> list[str]:
    return [str(objective) for objective in Objectives.read(texts).each]


class SearchSettings(Settings):
    """How the space is searched."""

    trials: int = Field(
        default=30, ge=1, description="How many complete or pruned trials make the study done."
    )
    sampler: Annotated[str, AfterValidator(_sampler)] = Field(
        default="tpe", description="Which configurations are tried next."
    )
    sampler_options: dict[str, Any] = Field(
        default_factory=dict, description="The sampler's own options, under Optuna's names."
    )
    pruner: Annotated[str, AfterValidator(_pruner)] = Field(
        default="none", description="Which trials are stopped before their last epoch."
    )
    pruner_options: dict[str, Any] = Field(
        default_factory=dict,
        description="The pruner's own options, under Optuna's names; a step is an epoch.",
    )
    objectives: Annotated[list[str], AfterValidator(_objectives)] = Field(
        default=["maximize val_accuracy"],
        description="What is made better, measured at the last epoch of a trial, or as it ends: one, or several.",
    )
    importance: Annotated[str, AfterValidator(_importance)] = Field(
        default="ped-anova",
        description=f"How what each hyperparameter mattered is told: {', '.join(EVALUATORS)}.",
    )

    @model_validator(mode="after")
    def _options_are_known(self) -> Self:
        self.read_sampler_options()
        self.read_pruner_options()
        return self

    @property
    def goals(self) -> Objectives:
        """What the search makes better."""
        return Objectives.read(self.objectives)

    def read_sampler_options(self) -> Settings:
        """Return the sampler's options in its own class of settings.

        Raises:
            RequestError: one that it does not have, or a value that can't be.
        """
        options: Settings = get_sampler(self.sampler).settings.read(
            self.sampler_options, "[search] sampler_options"
        )
        return options

    def read_pruner_options(self) -> Settings:
        """Return the pruner's options in its own class of settings.

        Raises:
            RequestError: one that it does not have, or a value that can't be.
        """
        options: Settings = get_pruner(self.pruner).settings.read(
            self.pruner_options, "[search] pruner_options"
        )
        return options

    def changed(self, **changes: Any) -> Self:
        """Return the settings with these changed; options stay only with the sampler or pruner they
        were given to.

        Raises:
            RequestError: a value that can't be.
        """
        kept = self.model_dump()
        for part in ("sampler", "pruner"):
            if changes.get(part, kept[part]) != kept[part]:
                del kept[f"{part}_options"]
        return self.read({**kept, **changes}, "[search]")

    def check(self, space: Space, epochs: int) -> None:
        """See that the space can be searched as is asked: what only shows together with space and
        epochs.

        Args:
            space: what is searched.
            epochs: the most epochs a trial can have.

        Raises:
            RequestError: the sampler can't search the space, can't be asked for so many trials or
                lacks a package; the pruner's options do not suit so many epochs; the importances
                lack a package.
        """
        sampler, pruner = get_sampler(self.sampler), get_pruner(self.pruner)
        sampler.check_trials(self.trials)
        pruner.check(PrunerRequest(epochs, self.read_pruner_options()))
        sampler.check(space, len(self.objectives))
        get_evaluator(self.importance).check()
