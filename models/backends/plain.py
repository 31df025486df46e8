"""Epochs by Keras' own `fit`, on any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.backends.interface import VALIDATION_BATCH, Metrics, TrainEpoch
from models.data import TrainingData

if TYPE_CHECKING:
    import keras


class PlainBackend:
    """Whatever backend Keras runs on."""

    def use_threads(self, threads: int) -> None:
        """Leave the number of threads to the backend: there is no way to say it that all of them have."""

    def hold(self, data: TrainingData) -> PlainResident:
        """Scale data once, into memory."""
        return PlainResident(data)


class PlainResident:
    """Scaled data as float32 arrays."""

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._x = data.scale.apply(data.x_train)
        self._y = np.asarray(data.y_train)
        self._validation = (data.scale.apply(data.x_validation), np.asarray(data.y_validation))

    def epochs(self, model: keras.Model, batch_size: int) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""

        def train_epoch(order: NDArray[np.int32]) -> Metrics:
            history = model.fit(
                self._x[order],
                self._y[order],
                batch_size=batch_size,
                shuffle=False,
                verbose=0,
                validation_data=self._validation,
                validation_batch_size=VALIDATION_BATCH,
            )
            return {name: float(values[-1]) for name, values in history.history.items()}

        return train_epoch
