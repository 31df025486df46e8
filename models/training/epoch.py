"""What a backend is given for an epoch, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from assay.models.training.augmentation import Crops

VALIDATION_BATCH = 256
"""Images validated at once: beyond it nothing is gained in time, and memory grows with it."""

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class InputConfig:
    """How data are given to a network, in every epoch alike.

    Attributes:
        batch_size: images a step, for a backend that compiles it; see `DeviceDataset.any_batch`.
        one_hot: whether labels (n,) are given as rows (n, classes), 1 at the label and 0 elsewhere.
        scheduled: whether every step has a learning rate of its own.
        augmented: whether every epoch sees windows of the images.
        shift: width of the black border around an image that windows may show.
    """

    batch_size: int
    one_hot: bool = False
    scheduled: bool = False
    augmented: bool = False
    shift: int = 0


@dataclass(frozen=True)
class EpochInputs:
    """What one epoch does.

    Attributes:
        batch_size: images a step.
        order: of the training images' indices, int32 (train_images,).
        rates: the learning rate of each step, float32 (steps,); empty if the optimizer keeps its
            own.
        windows: what is seen of each training image, by its index; None if all of it as it is.
    """

    batch_size: int
    order: NDArray[np.int32]
    rates: NDArray[np.float32]
    windows: Crops | None = None


TrainEpoch: TypeAlias = Callable[[EpochInputs], Metrics]
"""Trains on the images in the plan's order, the last partial batch included, then validates.

Returns running means over the epoch, then over the validation images, as Keras' own `fit` logs
them: the loss and what is measured beside it, such as loss, accuracy, val_loss, val_accuracy. Every
call starts from what the variables of the model and its optimizer hold then, so another training
may be put into them between two.
"""
