"""What a sampler is to the search: its words, its options, and how it is made."""

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
        seed: the study's seed.
        drawn: how many trials the study already has: 0 when it is new.
        space: what is searched.
        options: the sampler's own options.
        opening: how often the study was opened before, where others may have it open now; else 0.
    """

    seed: int
    drawn: int
    space: Space
    options: S
    opening: int = 0

    @property
    def session_seed(self) -> int:
        """The seed of samplers that keep nothing of where they stood: another each time the study
        is taken up.

        A sampler that starts anew must not draw once more what it drew at first.
        """
        seed = trial_seed(self.seed, -self.drawn)
        # Two that open a study at once find the same number of trials in it.
        return trial_seed(seed, self.opening) if self.opening else seed

    @property
    def study_seed(self) -> int:
        """The seed of samplers that go on with their own sequence: the same for all of the study's
        life.
        """
        return trial_seed(self.seed, 0)


@dataclass(frozen=True)
class Sampler(Generic[S]):
    """A sampler: which configuration is tried next.

    Attributes:
        name: what [search] calls it.
        summary: one line about it.
        settings: the class of its options; every field has a default.
        make: makes a new one; imports Optuna, so that naming samplers costs the command line
            nothing.
        packages: what it needs beside what comes with Assay: `pip install` names by import names.
        extra: Assay's extra that brings them.
        most_objectives: how many objectives it can search for at once; None for any number.
        most_trials: how many trials it can reasonably be asked for, and why no more; None for any
            number.
        check_space: raises a RequestError for a space that it can't search.
        size: how many configurations it has to offer in a space; None where there is no end.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[SamplerRequest[S]], BaseSampler]
    packages: Mapping[str, str] = field(default_factory=dict)
    extra: str | None = None
    most_objectives: int | None = None
    most_trials: tuple[int, str] | None = None
    check_space: Callable[[Space], None] = lambda space: None
    size: Callable[[Space], int | None] = lambda space: None

    def check(self, space: Space, objectives: int) -> None:
        """See that it can search this space, and that what it needs is installed.

        Raises:
            RequestError: it can't, or it is not.
        """
        if self.most_objectives is not None and objectives > self.most_objectives:
            raise RequestError(
                f"sampler {self.name!r} has at most {self.most_objectives} objective; received {objectives}: "
                "choose tpe, nsga2 or random, or name one objective."
            )
        self.check_space(space)
        check_installed(f"sampler {self.name!r}", self.packages, self.extra)

    def check_trials(self, trials: int) -> None:
        """See that it can be asked for so many trials.

        Raises:
            RequestError: they are too many.
        """
        if self.most_trials is not None and trials > self.most_trials[0]:
            most, reason = self.most_trials
            raise RequestError(
                f"sampler {self.name!r} is for at most {most} trials, since {reason}; received {trials}: "
                "ask for fewer with --trials, or choose another with --sampler."
            )


AnySampler = Sampler[Any]


# Options that several samplers share.


Startup = Annotated[
    int,
    Field(
        ge=0,
        description="How many complete trials there must be before it does more than draw at random.",
    ),
]
Probability = Annotated[float, Field(ge=0, le=1)]
