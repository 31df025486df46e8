"""No pruning: every trial trains all its epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.settings import Settings
from assay.search.pruners.base import Pruner, PrunerRequest

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class NoneSettings(Settings):
    """Options of no pruning: none."""


def _make(request: PrunerRequest[NoneSettings]) -> BasePruner:
    import optuna  # here: naming pruners imports no Optuna

    return optuna.pruners.NopPruner()


PRUNER = Pruner("none", "every trial trains all its epochs", NoneSettings, _make)
