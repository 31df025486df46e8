"""The interface between training and backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from assay.models.data import DataShape
from assay.models.training.augmentation import Crops

if TYPE_CHECKING:
    import keras

VALIDATION_BATCH = 256
"""Batch size of validation. Larger batches are not faster, and need more memory."""

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class InputConfig:
    """How data are passed to a network, in all epochs.

    Attributes:
        batch_size: images per step, for backends that compile it; see
            `DeviceDataset.takes_any_batch_size`.
        one_hot: whether labels (n,) are passed as rows (n, classes), 1 at the label and 0
            elsewhere.
        scheduled: whether every step has its own learning rate.
        augmented: whether every epoch sees other crops of the images.
        shift: width of the black border around the images, in pixels.
    """

    batch_size: int
    one_hot: bool = False
    scheduled: bool = False
    augmented: bool = False
    shift: int = 0


@dataclass(frozen=True)
class EpochInputs:
    """Inputs of one epoch.

    Attributes:
        batch_size: images per step.
        order: indices of the training images in the order of training, int32 (train_images,).
        learning_rates: learning rate of each step, float32 (steps,); empty without a schedule, so
            that the optimizer keeps its own.
        crops: crop of each training image, by its index; None without augmentation.
    """

    batch_size: int
    order: NDArray[np.int32]
    learning_rates: NDArray[np.float32]
    crops: Crops | None = None


TrainEpoch: TypeAlias = Callable[[EpochInputs], Metrics]
"""Trains for one epoch, the last partial batch included, then validates.

Returns means over the epoch, as Keras' `fit` logs them, and then means over the validation images:
the loss and the metrics, such as loss, accuracy, val_loss, val_accuracy. Every call starts from the
current values of the variables of model and optimizer, so a caller may replace them by those of
another training between two calls.
"""


class DeviceDataset(Protocol):
    """Data where a backend reads them, for many trials.

    Attributes:
        shape: shape of the data.
        takes_any_batch_size: whether an epoch that was compiled for one batch size also trains with
            the batch size of its `EpochInputs`.
    """

    shape: DataShape
    takes_any_batch_size: bool

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        """Compile an epoch of a compiled model.

        Returns:
            A function that trains the model for one epoch per call.
        """
