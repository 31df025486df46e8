"""What a sampler consists of.

Each sampler is a module of this package with a `SAMPLER`. These modules import Optuna in functions
only: the command line names samplers without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import Field

from assay.models.errors import RequestError
from assay.models.names import check_installed
from assay.models.seeding import trial_seed
from assay.models.settings import Settings

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class SamplerRequest(Generic[S]):
    """The sampler that is asked for.

    Args:
        seed: random seed of the study.
        drawn: number of trials that the study has; 0 for a new one.
        space: the search space.
        options: the sampler's options.
        opening: how often a shared study was opened before; else 0.
    """

    seed: int
    drawn: int
    space: Space
    options: S
    opening: int = 0

    @property
    def session_seed(self) -> int:
        """Seed of a sampler that does not store its state: another one in every session.

        With the same seed, such a sampler would propose the study's first configurations again.
        """
        seed = trial_seed(self.seed, -self.drawn)
        # Two supervisors that open a shared study at once find the same number of trials in it.
        return trial_seed(seed, self.opening) if self.opening else seed

    @property
    def study_seed(self) -> int:
        """Seed of a sampler that continues its own sequence.

        It is the same in every sweep of a study.
        """
        return trial_seed(self.seed, 0)


@dataclass(frozen=True)
class Sampler(Generic[S]):
    """A sampler.

    Attributes:
        name: its name in [search].
        summary: one line about it.
        settings: the class of its options; every field has a default.
        make: returns a new sampler of Optuna.
        packages: the packages that it needs beside Assay's own: `pip install` names by import
            names.
        extra: Assay's extra that installs them.
        max_objectives: the most objectives that it can search for; None for any number.
        max_trials: the most trials that it is reasonable for, and the reason; None for any number.
        check_space: raises a RequestError for a space that it cannot search.
        size: returns the number of configurations that it has for a space; None if they do not end.
        learns: whether what it proposes depends on the values of earlier trials.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[SamplerRequest[S]], BaseSampler]
    packages: Mapping[str, str] = field(default_factory=dict)
    extra: str | None = None
    max_objectives: int | None = None
    max_trials: tuple[int, str] | None = None
    check_space: Callable[[Space], None] = lambda space: None
    size: Callable[[Space], int | None] = lambda space: None
    learns: bool = True

    def check(self, space: Space, objectives: int) -> None:
        """Check that it can search a space, and that its packages are installed.

        Raises:
            RequestError: it cannot, or they are not.
        """
        if self.max_objectives is not None and objectives > self.max_objectives:
            raise RequestError(
                f"sampler {self.name!r} has at most {self.max_objectives} objective; "
                f"received {objectives}: choose tpe, nsga2 or random, or name one objective."
            )
        self.check_space(space)
        check_installed(f"sampler {self.name!r}", self.packages, self.extra)

    def check_trials(self, trials: int) -> None:
        """Check that it is reasonable for a number of trials.

        Raises:
            RequestError: it is not.
        """
        if self.max_trials is not None and trials > self.max_trials[0]:
            limit, reason = self.max_trials
            raise RequestError(
                f"sampler {self.name!r} is for at most {limit} trials, since {reason}; "
                f"received {trials}: ask for fewer with --trials, or choose another with --sampler."
            )


AnySampler = Sampler[Any]

# Options that several samplers have.

StartupTrials = Annotated[
    int,
    Field(
        ge=0,
        description="Number of complete trials before which configurations are drawn at random.",
    ),
]
Probability = Annotated[float, Field(ge=0, le=1)]
