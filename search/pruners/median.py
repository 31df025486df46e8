"""Median stopping rule (Golovin et al., KDD 2017, section 3.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.settings import Settings
from assay.search.pruners.base import Pruner, PrunerRequest

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class MedianSettings(Settings):
    """Options of `optuna.pruners.MedianPruner`, with its names and all but one default.

    The default of `n_warmup_steps` is 2. Optuna's 0 judges a trial by its first epoch.
    """

    n_startup_trials: int = Field(
        default=5, ge=0, description="Number of complete trials before which none is stopped."
    )
    n_warmup_steps: int = Field(
        default=2, ge=0, description="The first epoch after which a trial may be stopped."
    )
    interval_steps: int = Field(
        default=1, ge=1, description="Number of epochs between two comparisons."
    )
    n_min_trials: int = Field(
        default=1,
        ge=1,
        description="Number of complete trials that must have reached an epoch to compare at it.",
    )


def _make(request: PrunerRequest[MedianSettings]) -> BasePruner:
    import optuna  # here: naming pruners imports no Optuna

    return optuna.pruners.MedianPruner(**request.options.model_dump())


PRUNER = Pruner(
    "median",
    "stops a trial that is worse than the median of earlier ones at the same epoch",
    MedianSettings,
    _make,
)
