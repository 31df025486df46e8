"""What a pruner is to the search: its words, its options, and how it is made.

A step of Optuna's is an epoch here, and epochs count from 1.
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
        epochs: the most epochs a trial can have.
        options: the pruner's own options.
        shared: whether other processes report to the study too, so that nothing may be remembered
            of it.
    """

    epochs: int
    options: S
    shared: bool = False


@dataclass(frozen=True)
class Pruner(Generic[S]):
    """A pruner: which trials are stopped before their last epoch.

    Attributes:
        name: what [search] calls it.
        summary: one line about it.
        settings: the class of its options; every field has a default.
        make: makes a new one; imports Optuna, so that naming pruners costs the command line
            nothing.
        check: raises a RequestError for options that do not suit trials of so many epochs.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[PrunerRequest[S]], BasePruner]
    check: Callable[[PrunerRequest[S]], None] = lambda request: None


AnyPruner = Pruner[Any]


# Options that both kinds of successive halving share.


MinResource = Annotated[
    int, Field(ge=1, description="The epoch after which trials are compared for the first time.")
]
ReductionFactor = Annotated[
    int,
    Field(
        ge=2,
        description="Of so many trials that are compared one goes on, to so many times the epochs.",
    ),
]
BootstrapCount = Annotated[
    int,
    Field(
        ge=0, description="How many trials must have reached a comparison before any gets past it."
    ),
]


def check_min_resource(min_resource: int, epochs: int) -> None:
    """See that the first comparison comes within the epochs of a trial.

    Raises:
        RequestError: it comes after the last.
    """
    if min_resource > epochs:
        raise RequestError(
            f"[search] pruner_options min_resource: must not exceed the {epochs} epochs of a trial; "
            f"received {min_resource}: lower it, or ask for more --epochs."
        )
