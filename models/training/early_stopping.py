"""Early stopping: the best epoch's weights are kept, and training ends when they have been the best
for long.
"""

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
class Restored:
    """The epoch whose weights a model has again.

    Attributes:
        epoch: its number, from 1.
        metrics: what it measured.
    """

    epoch: int
    metrics: Metrics


@dataclass(frozen=True)
class Remembered(Restored):
    """The best epoch so far, with its weights."""

    weights: Sequence[Array]


class EarlyStopping:
    """Remembers the epoch with the lowest val_loss, the first of equals (Prechelt 1998, with a
    patience).

    Args:
        patience_epochs: how many epochs in a row may be no better until training stops, 1 or more.

    Attributes:
        remembered: the best epoch so far; None before the first.
    """

    def __init__(self, patience_epochs: int) -> None:
        self._patience_epochs = patience_epochs
        self._epoch = 0
        self.remembered: Remembered | None = None

    def on_epoch_end(self, model: keras.Model, metrics: Metrics) -> bool:
        """Take the next epoch into account; return whether training should stop."""
        self._epoch += 1
        best = self.remembered
        if best is None or _is_better(metrics["val_loss"], best.metrics["val_loss"]):
            best = self.remembered = Remembered(self._epoch, dict(metrics), model.get_weights())
        return self._epoch - best.epoch >= self._patience_epochs

    def go_on_after(self, epochs: int, best: Remembered) -> None:
        """Take so many epochs as heard of, this one as the best of them."""
        self._epoch, self.remembered = epochs, best

    def restore(self, model: keras.Model) -> Restored:
        """Give the model the best epoch's weights again, and return that epoch.

        Raises:
            RuntimeError: no epoch has been heard of.
        """
        if self.remembered is None:
            raise RuntimeError("nothing can be restored before the first epoch")
        model.set_weights(self.remembered.weights)
        return Restored(self.remembered.epoch, self.remembered.metrics)


def _is_better(loss: float, best: float) -> bool:
    # Any number is better than none.
    return loss < best or (math.isnan(best) and not math.isnan(loss))
