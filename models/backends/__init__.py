"""How an epoch is executed: one file a backend, and a plain one that serves any."""

from __future__ import annotations

from assay.models.backends.base import Backend, DeviceDataset
from assay.models.training.epoch import (
    VALIDATION_BATCH,
    EpochInputs,
    InputConfig,
    Metrics,
    TrainEpoch,
)

__all__ = [
    "VALIDATION_BATCH",
    "Backend",
    "DeviceDataset",
    "EpochInputs",
    "InputConfig",
    "Metrics",
    "TrainEpoch",
    "current",
]


def current() -> Backend:
    """Return what executes epochs on the backend that Keras was imported with."""
    import keras  # not at the top: settings are checked without a backend

    if keras.backend.backend() == "tensorflow":
        from assay.models.backends.tensorflow import TensorFlowBackend

        return TensorFlowBackend()
    if keras.backend.backend() == "jax":
        from assay.models.backends.jax import JaxBackend

        return JaxBackend()
    from assay.models.backends.keras_fit import KerasFitBackend

    return KerasFitBackend()
