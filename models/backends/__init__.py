"""How an epoch is executed: one file a backend, and a plain one that serves any."""

from __future__ import annotations

from models.backends.interface import VALIDATION_BATCH, Backend, EpochPlan, Feeding, Metrics, Resident, TrainEpoch

__all__ = ["VALIDATION_BATCH", "Backend", "EpochPlan", "Feeding", "Metrics", "Resident", "TrainEpoch", "current"]


def current() -> Backend:
    """Return what executes epochs on the backend that Keras was imported with."""
    import keras  # not at the top: settings are checked without a backend

    if keras.backend.backend() == "tensorflow":
        from models.backends.tensorflow import TensorFlowBackend

        return TensorFlowBackend()
    if keras.backend.backend() == "jax":
        from models.backends.jax import JaxBackend

        return JaxBackend()
    from models.backends.plain import PlainBackend

    return PlainBackend()
