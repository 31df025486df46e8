"""Hyperband: several brackets of successive halving (Li et al., JMLR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.settings import Settings
from assay.search import optuna_compat
from assay.search.pruners.base import (
    BootstrapCount,
    MinResource,
    Pruner,
    PrunerRequest,
    ReductionFactor,
    check_min_resource,
)

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class HyperbandSettings(Settings):
    """Options of `optuna.pruners.HyperbandPruner`, with its names and defaults.

    `max_resource` is not an option: it is the epochs of a trial.
    """

    min_resource: MinResource = 1
    reduction_factor: ReductionFactor = 3
    bootstrap_count: BootstrapCount = 0


def _check(request: PrunerRequest[HyperbandSettings]) -> None:
    check_min_resource(request.options.min_resource, request.epochs)


def _make(request: PrunerRequest[HyperbandSettings]) -> BasePruner:
    from optuna.pruners import HyperbandPruner  # here: naming pruners imports no Optuna

    # By default Optuna takes `max_resource` from the first complete trial, and prunes nothing
    # before it.
    options = {"max_resource": request.epochs, **request.options.model_dump()}
    if request.shared or not optuna_compat.is_supported():
        return HyperbandPruner(**options)
    from assay.search.pruners.cached_halving import CachedHyperbandPruner

    return CachedHyperbandPruner(**options)


PRUNER = Pruner(
    "hyperband",
    "successive halving in brackets: many short trials, few long ones (Li et al., 2018)",
    HyperbandSettings,
    _make,
    _check,
)
