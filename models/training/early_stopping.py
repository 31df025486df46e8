"""Early stopping, with the weights of the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.models.data import Array
from assay.models.training.epoch import Metrics

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class RestoredEpoch:
    """The epoch whose weights were restored.

    Attributes:
        epoch: its number, from 1.
        metrics: what it measured.
    """

    epoch: int
    metrics: Metrics


@dataclass(frozen=True)
class BestEpoch(RestoredEpoch):
    """The best epoch so far, with the weights after it."""

    weights: Sequence[Array]


class EarlyStopping:
    """Keeps the best epoch and says when to stop (Prechelt 1998).

    The best epoch is the one with the lowest val_loss, the first of equal ones.

    Args:
        patience_epochs: number of epochs in a row without a lower val_loss after which training
            stops; 1 or more.

    Attributes:
        best: the best epoch so far; None before the first.
    """

    def __init__(self, patience_epochs: int) -> None:
        self._patience_epochs = patience_epochs
        self._epoch = 0
        self.best: BestEpoch | None = None

    def on_epoch_end(self, model: keras.Model, metrics: Metrics) -> bool:
        """Record an epoch; return whether training should stop."""
        self._epoch += 1
        best = self.best
        if best is None or _is_better(metrics["val_loss"], best.metrics["val_loss"]):
            # Copies: `get_weights` returns arrays that training does not change.
            best = self.best = BestEpoch(self._epoch, dict(metrics), model.get_weights())
        return self._epoch - best.epoch >= self._patience_epochs

    def resume(self, epochs: int, best: BestEpoch) -> None:
        """Continue after earlier epochs.

        Args:
            epochs: number of epochs that were trained.
            best: the best of them.
        """
        self._epoch, self.best = epochs, best

    def restore_best(self, model: keras.Model) -> RestoredEpoch:
        """Restore the weights of the best epoch.

        Raises:
            RuntimeError: no epoch was recorded.
        """
        if self.best is None:
            raise RuntimeError("early stopping has no weights to restore before the first epoch")
        model.set_weights(self.best.weights)
        return RestoredEpoch(self.best.epoch, self.best.metrics)


def _is_better(loss: float, best_loss: float) -> bool:
    # Any number is better than NaN.
    return loss < best_loss or (math.isnan(best_loss) and not math.isnan(loss))
