"""What a pruner is to the search: its words, its options, and how it is made.

A step of Optuna's is an epoch here, and epochs count from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from models.settings import Settings

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class PrunerRequest(Generic[S]):
    """The pruner that is asked for.

    Args:
        epochs: the most epochs a trial can have.
        options: the pruner's own options.
        shared: whether other processes report to the study too, so that nothing may be remembered of it.
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
        make: makes a new one; imports Optuna, so that naming pruners costs the command line nothing.
        check: raises a RequestError for options that do not suit trials of so many epochs.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[PrunerRequest[S]], BasePruner]
    check: Callable[[PrunerRequest[S]], None] = lambda request: None


AnyPruner = Pruner[Any]
