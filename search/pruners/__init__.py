"""Pruners by name: each decides which trials stop before their last epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.models.names import check_name
from assay.models.settings import Settings
from assay.search.pruners import asha, hyperband, median, none
from assay.search.pruners.base import AnyPruner, PrunerRequest

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

PRUNERS: Mapping[str, AnyPruner] = {
    pruner.name: pruner for pruner in (asha.PRUNER, hyperband.PRUNER, median.PRUNER, none.PRUNER)
}


def get_pruner(name: str) -> AnyPruner:
    """Return the pruner of this name.

    Raises:
        RequestError: there is none.
    """
    return PRUNERS[check_name("pruner", name, PRUNERS)]


def make_pruner(
    name: str, epochs: int, options: Settings | None = None, shared: bool = False
) -> BasePruner:
    """Return a new pruner of Optuna.

    Args:
        name: name of the pruner.
        epochs: the most epochs that a trial can have.
        options: the pruner's options; None for its defaults.
        shared: whether other processes may write the study.

    Raises:
        RequestError: there is no pruner of that name, or its options do not suit the epochs.

    Example:
        >>> pruner = make_pruner("hyperband", epochs=27)
    """
    pruner = get_pruner(name)
    request = PrunerRequest(epochs, pruner.settings() if options is None else options, shared)
    pruner.check(request)
    return pruner.make(request)
