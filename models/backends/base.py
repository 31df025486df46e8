"""What the rest of `models` asks of a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from assay.models.data import DataShape, TrainingData
from assay.models.training.epoch import InputConfig, TrainEpoch

if TYPE_CHECKING:
    import keras


class DeviceDataset(Protocol):
    """Data that stays where training reads it, for any number of trials.

    Attributes:
        shape: of the data.
        any_batch: whether what is compiled for one batch size trains with any that a plan says.
    """

    shape: DataShape
    any_batch: bool

    def epochs(self, model: keras.Model, feeding: InputConfig) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""


class Backend(Protocol):
    """A way to execute epochs."""

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads; before the first operation."""

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Take so many MiB of a card's memory, or with None what comes to be needed; before the
        first operation.
        """

    def gpu_name(self) -> str | None:
        """Return what the card is called that this process computes on; None if it computes on the
        processor.
        """

    def load(self, data: TrainingData) -> DeviceDataset:
        """Make data resident."""
