"""What each epoch of a training is given: the order of its batches, its learning rates, what it sees of its images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import augmentation, schedules
from models.backends.interface import EpochPlan, Feeding
from models.data import DataShape
from models.order import batch_order
from models.train import TrainSettings


def feeding(train: TrainSettings, one_hot: bool) -> Feeding:
    """Return how data are given to a network, in every epoch alike.

    Args:
        train: how it is trained.
        one_hot: whether its loss wants labels as rows.
    """
    return Feeding(
        batch_size=train.batch_size,
        one_hot=one_hot,
        scheduled=schedules.is_scheduled(train),
        augmented=augmentation.is_augmented(train),
        shift=train.shift,
    )


class Plans:
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
        self._rates = schedules.rates(train, self.steps_per_epoch) if scheduled else np.empty(0, np.float32)

    def __getitem__(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, from 0."""
        images = self._shape.train_images
        windows = None
        if augmentation.is_augmented(self._train):
            windows = augmentation.draw(self._train, self._seed, epoch, images, self._shape.input_shape)
        return EpochPlan(
            batch_size=self._train.batch_size,
            order=batch_order(self._seed, epoch, images),
            rates=self.rates(epoch),
            windows=windows,
        )

    def rates(self, epoch: int) -> NDArray[np.float32]:
        """Return an epoch's learning rate of each step, float32 (steps,); empty if the optimizer keeps its own."""
        first = epoch * self.steps_per_epoch
        return self._rates[first : first + self.steps_per_epoch]
