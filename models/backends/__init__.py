"""Backends: how an epoch is executed."""

from __future__ import annotations

from assay.models.backends.base import Backend

__all__ = ["Backend", "current_backend"]


def current_backend() -> Backend:
    """Return the backend that Keras was imported with.

    Example:
        dataset = current_backend().load_dataset(load_training_data(folder, "unit"))
    """
    import keras  # not at the top: settings are checked without a backend

    if keras.backend.backend() == "tensorflow":
        from assay.models.backends.tensorflow import TensorFlowBackend

        return TensorFlowBackend()
    if keras.backend.backend() == "jax":
        from assay.models.backends.jax import JaxBackend

        return JaxBackend()
    from assay.models.backends.keras_fit import KerasFitBackend

    return KerasFitBackend()
