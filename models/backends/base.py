"""The interface of a backend."""

from __future__ import annotations

from typing import Protocol

from assay.models.data import TrainingData
from assay.models.training.epoch import DeviceDataset


class Backend(Protocol):
    """A way to execute epochs."""

    def set_threads(self, threads: int) -> None:
        """Set the number of CPU threads, before the first operation."""

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Limit the memory of each GPU, before the first operation.

        Args:
            megabytes: limit in MiB; None to take memory as it is needed.
        """

    def set_deterministic(self) -> None:
        """Use deterministic operations alone, before the first operation."""

    def gpu_name(self) -> str | None:
        """Return the name of the GPU in use; None on the CPU."""

    def is_variable(self, item: object) -> bool:
        """Return whether an object is a variable that training can change, not one of Keras."""

    def load_dataset(self, data: TrainingData) -> DeviceDataset:
        """Copy data to where the backend reads them."""
