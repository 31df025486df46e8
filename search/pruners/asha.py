"""Asynchronous successive halving, ASHA (Li et al., MLSys 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.errors import RequestError
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


class AshaSettings(Settings):
    """Options of `optuna.pruners.SuccessiveHalvingPruner`, with its names and all but one default.

    The default of `min_resource` is 1. Optuna's "auto" takes a hundredth of the epochs of the first
    complete trial, which is the same up to 199 epochs, and prunes nothing before that trial.
    """

    min_resource: MinResource = 1
    reduction_factor: ReductionFactor = 4
    min_early_stopping_rate: int = Field(
        default=0, ge=0, description="Number of the earliest comparisons that are left out."
    )
    bootstrap_count: BootstrapCount = 0


def _check(request: PrunerRequest[AshaSettings]) -> None:
    options = request.options
    check_min_resource(options.min_resource, request.epochs)
    first = options.min_resource * options.reduction_factor**options.min_early_stopping_rate
    if first > request.epochs:
        raise RequestError(
            "[search] pruner_options min_early_stopping_rate: trials would first be compared after "
            f"epoch {first}, and have {request.epochs}; received "
            f"{options.min_early_stopping_rate}: lower it, or ask for more --epochs."
        )


def _make(request: PrunerRequest[AshaSettings]) -> BasePruner:
    from optuna.pruners import SuccessiveHalvingPruner  # here: naming pruners imports no Optuna

    options = request.options.model_dump()
    if request.shared or not optuna_compat.is_supported():
        return SuccessiveHalvingPruner(**options)
    from assay.search.pruners.cached_halving import CachedSuccessiveHalvingPruner

    return CachedSuccessiveHalvingPruner(**options)


PRUNER = Pruner(
    "asha",
    "successive halving: at epochs 1, 4, 16, ... the best quarter goes on (Li et al., 2020)",
    AshaSettings,
    _make,
    _check,
)
