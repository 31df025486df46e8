"""What a pruner consists of.

Each pruner is a module of this package with a `PRUNER`. These modules import Optuna in functions
only: the command line names pruners without it. A step of Optuna is an epoch here, and epochs count
from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import Field

from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class PrunerRequest(Generic[S]):
    """The pruner that is asked for.

    Args:
        epochs: the most epochs that a trial can have.
        options: the pruner's options.
        shared: whether other processes may write the study, so that it cannot be cached.
    """

    epochs: int
    options: S
    shared: bool = False


@dataclass(frozen=True)
class Pruner(Generic[S]):
    """A pruner.

    Attributes:
        name: its name in [search].
        summary: one line about it.
        settings: the class of its options; every field has a default.
        make: returns a new pruner of Optuna.
        check: raises a RequestError for options that do not suit the epochs of a trial.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[PrunerRequest[S]], BasePruner]
    check: Callable[[PrunerRequest[S]], None] = lambda request: None


AnyPruner = Pruner[Any]

# Options of both kinds of successive halving.

MinResource = Annotated[
    int, Field(ge=1, description="The epoch after which trials are compared for the first time.")
]
ReductionFactor = Annotated[
    int,
    Field(
        ge=2,
        description=(
            "At each comparison one in this many trials continues, with this many times the epochs."
        ),
    ),
]
BootstrapCount = Annotated[
    int,
    Field(
        ge=0,
        description="Number of trials that must have reached a comparison before one goes on.",
    ),
]


def check_min_resource(min_resource: int, epochs: int) -> None:
    """Check that the first comparison is within the epochs of a trial.

    Raises:
        RequestError: it is not.
    """
    if min_resource > epochs:
        raise RequestError(
            f"[search] pruner_options min_resource: must not exceed the {epochs} epochs of a "
            f"trial; received {min_resource}: lower it, or ask for more --epochs."
        )
