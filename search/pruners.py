"""Pruners by name: which trials are stopped before their last epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.names import check_name

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


@dataclass(frozen=True)
class Pruner:
    """A pruner: one line of what it does, and how it is made for trials of so many epochs."""

    summary: str
    make: Callable[[int], BasePruner]


def _hyperband(epochs: int) -> BasePruner:
    import optuna

    # The largest resource is said outright: left to itself Optuna takes it from the first trial that completes, and
    # prunes nothing until then.
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)


def _median(epochs: int) -> BasePruner:
    import optuna

    # Epochs count from 1: nothing is judged by its first.
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)


def _none(epochs: int) -> BasePruner:
    import optuna

    return optuna.pruners.NopPruner()


# Optuna is imported when a pruner is made, so that naming them costs the command line nothing.
PRUNERS: Mapping[str, Pruner] = {
    "hyperband": Pruner(
        "successive halving in brackets: many short trials, few long ones (Li et al., 2018)", _hyperband
    ),
    "median": Pruner("stops a trial that is worse than the median of earlier ones at the same epoch", _median),
    "none": Pruner("every trial trains all its epochs", _none),
}


def make_pruner(name: str, epochs: int) -> BasePruner:
    """Return a new pruner for trials of at most so many epochs.

    Raises:
        RequestError: there is none of that name.
    """
    return PRUNERS[check_name("pruner", name, PRUNERS)].make(epochs)
