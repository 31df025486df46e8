"""The median stopping rule (Golovin et al., KDD 2017, section 3.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.settings import Settings
from assay.search.pruners.base import Pruner, PrunerRequest

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class MedianSettings(Settings):
    """The options of `optuna.pruners.MedianPruner`, under its names and, but for one, with its
    defaults.

    n_warmup_steps is 2 unless said, where Optuna's 0 would judge a trial by its first epoch.
    """

    n_startup_trials: int = Field(
        default=5, ge=0, description="How many complete trials there must be to compare with."
    )
    n_warmup_steps: int = Field(
        default=2, ge=0, description="The first epoch after which a trial may be stopped."
    )
    interval_steps: int = Field(
        default=1, ge=1, description="How many epochs lie between two comparisons."
    )
    n_min_trials: int = Field(
        default=1,
        ge=1,
        description="How many complete trials must have reached an epoch to compare at it.",
    )


def _make(request: PrunerRequest[MedianSettings]) -> BasePruner:
    import optuna  # not at the top: naming pruners must cost the command line nothing

    return optuna.pruners.MedianPruner(**request.options.model_dump())


PRUNER = Pruner(
    "median",
    "stops a trial that is worse than the median of earlier ones at the same epoch",
    MedianSettings,
    _make,
)
