"""Fitting: the epochs of a training, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.backends.interface import Metrics, TrainEpoch
from models.data import Array, DataShape
from models.plans import Plans
from models.stopping import EarlyStopping, Remembered, Restored
from models.train import TrainSettings

if TYPE_CHECKING:
    import keras


class Fit(Iterator[Metrics]):
    """Trains an epoch each time it is asked for one, and returns what that measured.

    Beside what the backend measures, "learning_rate", the last step's, if the rate is scheduled.

    Args:
        train: how.
        model: compiled.
        shape: of the data.
        seed: the trial's, from which the order of the batches and the augmentation follow.
        train_epoch: trains the model for an epoch.

    Attributes:
        restored: after the last epoch, the one whose weights the model has again; None without early stopping.
        stopped: whether training ended before its last epoch was reached.
    """

    def __init__(
        self, train: TrainSettings, model: keras.Model, shape: DataShape, seed: int, train_epoch: TrainEpoch
    ) -> None:
        self.restored: Restored | None = None
        self.stopped = False
        self._train, self._model = train, model
        self._epoch = 0
        self._stopping = None if train.early_stopping is None else EarlyStopping(train.early_stopping)
        self._plans = Plans(train, shape, seed)
        self._train_epoch = train_epoch

    def __next__(self) -> Metrics:
        """Train the next epoch and validate.

        Raises:
            StopIteration: all epochs have been trained, or training stopped early.
        """
        if self.stopped or self._epoch == self._train.epochs:
            raise StopIteration
        plan = self._plans[self._epoch]
        metrics = self._train_epoch(plan)
        if len(plan.rates) > 0:
            metrics["learning_rate"] = float(plan.rates[-1])
        self._epoch += 1
        if self._stopping is not None:
            self._stop_or_go_on(self._stopping, metrics)
        return metrics

    def remembered(self) -> Remembered | None:
        """Return what early stopping remembers; None without it, and before the first epoch."""
        return None if self._stopping is None else self._stopping.remembered

    def go_on_after(self, epochs: int, best: Mapping[str, Any] | None, weights: Sequence[Array]) -> None:
        """Take so many epochs as trained: the model has what they made of it.

        Args:
            epochs: how many.
            best: {"epoch", "metrics"} of the one that early stopping remembers; None without early stopping.
            weights: of that epoch.
        """
        self._epoch = epochs
        if self._stopping is not None and best is not None:
            self._stopping.go_on_after(epochs, Remembered(best["epoch"], best["metrics"], weights))

    def _stop_or_go_on(self, stopping: EarlyStopping, metrics: Metrics) -> None:
        is_last = self._epoch == self._train.epochs
        self.stopped = stopping.hear(self._model, metrics) and not is_last
        if self.stopped or is_last:
            self.restored = stopping.restore(self._model)
