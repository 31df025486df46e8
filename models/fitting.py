"""Fitting: the epochs of a training, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from models import augmentation, schedules
from models.backends.interface import EpochPlan, Feeding, Metrics, TrainEpoch
from models.data import DataShape
from models.order import batch_order
from models.stopping import EarlyStopping, Restored
from models.train import TrainSettings

if TYPE_CHECKING:
    import keras


def feeding(train: TrainSettings, one_hot: bool) -> Feeding:
    """Return how a training's data are given to its network; `one_hot` says whether its loss wants labels as rows."""
    return Feeding(
        batch_size=train.batch_size,
        one_hot=one_hot,
        scheduled=schedules.is_scheduled(train),
        augmented=augmentation.is_augmented(train),
        shift=train.shift,
    )


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
        self._train, self._model, self._shape, self._seed = train, model, shape, seed
        self._epoch = 0
        self._stopping = None if train.early_stopping is None else EarlyStopping(train.early_stopping)
        self._train_epoch = train_epoch
        self._steps_per_epoch = -(-shape.train_images // train.batch_size)
        scheduled = schedules.is_scheduled(train)
        self._rates = schedules.rates(train, self._steps_per_epoch) if scheduled else np.empty(0, np.float32)

    def __next__(self) -> Metrics:
        """Train the next epoch and validate.

        Raises:
            StopIteration: all epochs have been trained, or training stopped early.
        """
        if self.stopped or self._epoch == self._train.epochs:
            raise StopIteration
        plan = self._plan()
        metrics = self._train_epoch(plan)
        if len(plan.rates) > 0:
            metrics["learning_rate"] = float(plan.rates[-1])
        self._epoch += 1
        if self._stopping is not None:
            self._stop_or_go_on(self._stopping, metrics)
        return metrics

    def _stop_or_go_on(self, stopping: EarlyStopping, metrics: Metrics) -> None:
        is_last = self._epoch == self._train.epochs
        self.stopped = stopping.hear(self._model, metrics) and not is_last
        if self.stopped or is_last:
            self.restored = stopping.restore(self._model)

    def _plan(self) -> EpochPlan:
        images = self._shape.train_images
        first = self._epoch * self._steps_per_epoch
        return EpochPlan(
            batch_size=self._train.batch_size,
            order=batch_order(self._seed, self._epoch, images),
            rates=self._rates[first : first + self._steps_per_epoch],
            windows=self._windows(images) if augmentation.is_augmented(self._train) else None,
        )

    def _windows(self, images: int) -> augmentation.Windows:
        return augmentation.draw(self._train, self._seed, self._epoch, images, self._shape.input_shape)
