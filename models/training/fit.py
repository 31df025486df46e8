"""Fitting: inputs of each epoch, and one epoch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.models.data import Array, DataShape
from assay.models.training import augmentation, schedules
from assay.models.training.config import TrainSettings
from assay.models.training.early_stopping import BestEpoch, EarlyStopping, RestoredEpoch
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics, TrainEpoch

if TYPE_CHECKING:
    import keras


def batch_order(seed: int, epoch: int, images: int) -> NDArray[np.int32]:
    """Return the order of the training images, int32 (images,).

    It depends on the seed and the number of the epoch (from 0) only.
    """
    # NumPy, not the backend, draws it, so every backend sees the same batches.
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)


def make_input_config(train: TrainSettings, one_hot: bool) -> InputConfig:
    """Return how data are passed to a network.

    Args:
        train: settings of the training.
        one_hot: whether the loss takes labels as rows; see `losses.wants_one_hot`.
    """
    return InputConfig(
        batch_size=train.batch_size,
        one_hot=one_hot,
        scheduled=schedules.is_scheduled(train),
        augmented=augmentation.is_augmented(train),
        shift=train.shift,
    )


class TrainingInputs:
    """The inputs of each epoch, by its number from 0.

    Args:
        train: settings of the training.
        shape: shape of the data.
        seed: batch order and augmentation are derived from it.
    """

    def __init__(self, train: TrainSettings, shape: DataShape, seed: int) -> None:
        self._train, self._shape, self._seed = train, shape, seed
        self.steps_per_epoch = -(-shape.train_images // train.batch_size)
        self._learning_rates = np.empty(0, np.float32)
        if schedules.is_scheduled(train):
            self._learning_rates = schedules.learning_rates(train, self.steps_per_epoch)

    def __getitem__(self, epoch: int) -> EpochInputs:
        """Return the inputs of an epoch."""
        images = self._shape.train_images
        crops = None
        if augmentation.is_augmented(self._train):
            crops = augmentation.draw_crops(
                self._train, self._seed, epoch, images, self._shape.input_shape
            )
        return EpochInputs(
            batch_size=self._train.batch_size,
            order=batch_order(self._seed, epoch, images),
            learning_rates=self.learning_rates(epoch),
            crops=crops,
        )

    def learning_rates(self, epoch: int) -> NDArray[np.float32]:
        """Return the learning rate of each step, float32 (steps,).

        Empty without a schedule.
        """
        first = epoch * self.steps_per_epoch
        return self._learning_rates[first : first + self.steps_per_epoch]


class Fit(Iterator[Metrics]):
    """Iterator that trains one epoch per step.

    Each step returns the metrics of its epoch. With a schedule they include "learning_rate", that
    of the last gradient step.

    Args:
        train: settings of the training.
        model: a compiled model.
        shape: shape of the data.
        seed: seed of the trial; batch order and augmentation are derived from it.
        train_epoch: trains the model for one epoch.

    Attributes:
        restored: after the last epoch, the epoch whose weights were restored; None without early
            stopping.
        stopped: whether early stopping ended the training before its last epoch.

    Example:
        for metrics in recipe.fit(model, dataset, seed=0):
            print(metrics["val_loss"])
    """

    def __init__(
        self,
        train: TrainSettings,
        model: keras.Model,
        shape: DataShape,
        seed: int,
        train_epoch: TrainEpoch,
    ) -> None:
        self.restored: RestoredEpoch | None = None
        self.stopped = False
        self._train, self._model = train, model
        self._epoch = 0
        self._early_stopping = (
            None if train.early_stopping is None else EarlyStopping(train.early_stopping)
        )
        self._inputs = TrainingInputs(train, shape, seed)
        self._train_epoch = train_epoch

    def __next__(self) -> Metrics:
        """Train the next epoch and validate.

        Raises:
            StopIteration: all epochs are trained, or training stopped early.
        """
        if self.stopped or self._epoch == self._train.epochs:
            raise StopIteration
        inputs = self._inputs[self._epoch]
        metrics = self._train_epoch(inputs)
        if len(inputs.learning_rates) > 0:
            metrics["learning_rate"] = float(inputs.learning_rates[-1])
        self._epoch += 1
        if self._early_stopping is not None:
            self._apply_early_stopping(self._early_stopping, metrics)
        return metrics

    def best_epoch(self) -> BestEpoch | None:
        """Return the best epoch so far, if early stopping has one."""
        return None if self._early_stopping is None else self._early_stopping.best

    def resume(
        self, epochs: int, best: Mapping[str, Any] | None, best_weights: Sequence[Array]
    ) -> None:
        """Continue after earlier epochs.

        The model must have the weights after them.

        Args:
            epochs: number of epochs that were trained.
            best: {"epoch", "metrics"} of the best of them; None without early stopping.
            best_weights: weights after that epoch.
        """
        self._epoch = epochs
        if self._early_stopping is not None and best is not None:
            best_epoch = BestEpoch(best["epoch"], best["metrics"], best_weights)
            self._early_stopping.resume(epochs, best_epoch)

    def _apply_early_stopping(self, early_stopping: EarlyStopping, metrics: Metrics) -> None:
        # The best weights are restored after the last epoch too, where nothing was stopped early.
        is_last = self._epoch == self._train.epochs
        self.stopped = early_stopping.on_epoch_end(self._model, metrics) and not is_last
        if self.stopped or is_last:
            self.restored = early_stopping.restore_best(self._model)
