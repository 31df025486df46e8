"""What the rest of `models` asks of a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.augmentation import Windows
from models.data import DataShape, TrainingData

if TYPE_CHECKING:
    import keras

VALIDATION_BATCH = 256
"""Images validated at once: beyond it nothing is gained in time, and memory grows with it."""

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Feeding:
    """How data are given to a network, in every epoch alike.

    Attributes:
        batch_size: images a step, for a backend that compiles it; see `Resident.any_batch`.
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
class EpochPlan:
    """What one epoch does.

    Attributes:
        batch_size: images a step.
        order: of the training images' indices, int32 (train_images,).
        rates: the learning rate of each step, float32 (steps,); empty if the optimizer keeps its own.
        windows: what is seen of each training image, by its index; None if all of it as it is.
    """

    batch_size: int
    order: NDArray[np.int32]
    rates: NDArray[np.float32]
    windows: Windows | None = None


TrainEpoch: TypeAlias = Callable[[EpochPlan], Metrics]
"""Trains on the images in the plan's order, the last partial batch included, then validates.

Returns running means over the epoch, then over the validation images, as Keras' own `fit` logs them: the loss and what
is measured beside it, such as loss, accuracy, val_loss, val_accuracy. Every call starts from what the variables of the
model and its optimizer hold then, so another training may be put into them between two.
"""


class Resident(Protocol):
    """Data that stays where training reads it, for any number of trials.

    Attributes:
        shape: of the data.
        any_batch: whether what is compiled for one batch size trains with any that a plan says.
    """

    shape: DataShape
    any_batch: bool

    def epochs(self, model: keras.Model, feeding: Feeding) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""


class Backend(Protocol):
    """A way to execute epochs."""

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads; before the first operation."""

    def share_card(self, megabytes: int | None) -> None:
        """Take so many MiB of a card's memory, or with None what comes to be needed; before the first operation."""

    def card(self) -> str | None:
        """Return what the card is called that this process computes on; None if it computes on the processor."""

    def hold(self, data: TrainingData) -> Resident:
        """Make data resident."""
