"""Fitting: the epochs of a training, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.models.data import Array, DataShape
from assay.models.training import augmentation, schedules
from assay.models.training.config import TrainSettings
from assay.models.training.early_stopping import EarlyStopping, Remembered, Restored
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics, TrainEpoch

if TYPE_CHECKING:
    import keras


# The order in which an epoch sees the training images.


def batch_order(seed: int, epoch: int, images: int) -> NDArray[np.int32]:
    """Return a permutation of the images' indices, shape (images,).

    It follows from the trial's seed and the epoch's number (from 0) alone, so every backend sees
    the same batches.
    """
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)


# What each epoch of a training is given: the order of its batches, its learning rates, what it sees
# of its images.


def feeding(train: TrainSettings, one_hot: bool) -> InputConfig:
    """Return how data are given to a network, in every epoch alike.

    Args:
        train: how it is trained.
        one_hot: whether its loss wants labels as rows.
    """
    return InputConfig(
        batch_size=train.batch_size,
        one_hot=one_hot,
        scheduled=schedules.is_scheduled(train),
        augmented=augmentation.is_augmented(train),
        shift=train.shift,
    )


class TrainingInputs:
    """The plans of a training's epochs.

    Args:
        train: how it is trained.
        shape: of the data.
        seed: from which the order of the batches and the augmentation follow.
    """

    def __init__(self, train: TrainSettings, shape: DataShape, seed: int) -> None:
        self._train, self._shape, self._seed = train, shape, seed
        self.steps_per_epoch = -(-shape.train_images // train.batch_size)
        scheduled = schedules.is_scheduled(train)
        self._rates = (
            schedules.rates(train, self.steps_per_epoch) if scheduled else np.empty(0, np.float32)
        )

    def __getitem__(self, epoch: int) -> EpochInputs:
        """Return the plan of an epoch, from 0."""
        images = self._shape.train_images
        windows = None
        if augmentation.is_augmented(self._train):
            windows = augmentation.draw(
                self._train, self._seed, epoch, images, self._shape.input_shape
            )
        return EpochInputs(
            batch_size=self._train.batch_size,
            order=batch_order(self._seed, epoch, images),
            rates=self.rates(epoch),
            windows=windows,
        )

    def rates(self, epoch: int) -> NDArray[np.float32]:
        """Return an epoch's learning rate of each step, float32 (steps,); empty if the optimizer
        keeps its own.
        """
        first = epoch * self.steps_per_epoch
        return self._rates[first : first + self.steps_per_epoch]


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
        restored: after the last epoch, the one whose weights the model has again; None without
            early stopping.
        stopped: whether training ended before its last epoch was reached.
    """

    def __init__(
        self,
        train: TrainSettings,
        model: keras.Model,
        shape: DataShape,
        seed: int,
        train_epoch: TrainEpoch,
    ) -> None:
        self.restored: Restored | None = None
        self.stopped = False
        self._train, self._model = train, model
        self._epoch = 0
        self._stopping = (
            None if train.early_stopping is None else EarlyStopping(train.early_stopping)
        )
        self._plans = TrainingInputs(train, shape, seed)
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

    def go_on_after(
        self, epochs: int, best: Mapping[str, Any] | None, weights: Sequence[Array]
    ) -> None:
        """Take so many epochs as trained: the model has what they made of it.

        Args:
            epochs: how many.
            best: {"epoch", "metrics"} of the one that early stopping remembers; None without early
                stopping.
            weights: of that epoch.
        """
        self._epoch = epochs
        if self._stopping is not None and best is not None:
            self._stopping.go_on_after(epochs, Remembered(best["epoch"], best["metrics"], weights))

    def _stop_or_go_on(self, stopping: EarlyStopping, metrics: Metrics) -> None:
        is_last = self._epoch == self._train.epochs
        self.stopped = stopping.on_epoch_end(self._model, metrics) and not is_last
        if self.stopped or is_last:
            self.restored = stopping.restore(self._model)
