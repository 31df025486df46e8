"""Fitting: the epochs of a training, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from models import schedules
from models.backends.interface import EpochPlan, Feeding, Metrics, Resident
from models.order import batch_order
from models.train import TrainSettings

if TYPE_CHECKING:
    import keras


class Fit(Iterator[Metrics]):
    """Trains an epoch each time it is asked for one, and returns what that measured.

    Beside what the backend measures, "learning_rate", the last step's, if the rate is scheduled.

    Args:
        train: how.
        model: compiled.
        data: where the backend reads it.
        seed: the trial's, from which the order of the batches follows.
        one_hot: whether the loss wants labels as rows.
    """

    def __init__(self, train: TrainSettings, model: keras.Model, data: Resident, seed: int, one_hot: bool) -> None:
        self._train, self._data, self._seed = train, data, seed
        self._epoch = 0
        feeding = Feeding(train.batch_size, one_hot, schedules.is_scheduled(train))
        self._train_epoch = data.epochs(model, feeding)
        self._steps_per_epoch = -(-data.shape.train_images // train.batch_size)
        self._rates = schedules.rates(train, self._steps_per_epoch) if feeding.scheduled else np.empty(0, np.float32)

    def __next__(self) -> Metrics:
        """Train the next epoch and validate.

        Raises:
            StopIteration: all epochs have been trained.
        """
        if self._epoch == self._train.epochs:
            raise StopIteration
        plan = self._plan()
        metrics = self._train_epoch(plan)
        if len(plan.rates) > 0:
            metrics["learning_rate"] = float(plan.rates[-1])
        self._epoch += 1
        return metrics

    def _plan(self) -> EpochPlan:
        first = self._epoch * self._steps_per_epoch
        return EpochPlan(
            order=batch_order(self._seed, self._epoch, self._data.shape.train_images),
            rates=self._rates[first : first + self._steps_per_epoch],
        )
