"""Epochs by Keras' own `fit`, on any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.backends.interface import VALIDATION_BATCH, EpochPlan, Feeding, Metrics, TrainEpoch
from models.data import Array, TrainingData, as_one_hot

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
        self._x_validation = data.scale.apply(data.x_validation)
        self._y_validation = np.asarray(data.y_validation)

    def epochs(self, model: keras.Model, feeding: Feeding) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""
        y, y_validation = (self._targets(labels, feeding) for labels in (self._y, self._y_validation))

        def train_epoch(plan: EpochPlan) -> Metrics:
            history = model.fit(
                self._x[plan.order],
                y[plan.order],
                batch_size=feeding.batch_size,
                shuffle=False,
                verbose=0,
                validation_data=(self._x_validation, y_validation),
                validation_batch_size=VALIDATION_BATCH,
            )
            return {name: float(values[-1]) for name, values in history.history.items()}

        return train_epoch

    def _targets(self, y: Array, feeding: Feeding) -> Array:
        return as_one_hot(y, self.shape.outputs) if feeding.one_hot else y
