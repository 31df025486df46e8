"""Epochs by Keras' own `fit`, on any backend."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.augmentation import look
from models.backends.interface import VALIDATION_BATCH, EpochPlan, Feeding, Metrics, TrainEpoch
from models.data import Array, TrainingData, as_one_hot

if TYPE_CHECKING:
    import keras


class PlainBackend:
    """Whatever backend Keras runs on."""

    def use_threads(self, threads: int) -> None:
        """Leave the number of threads to the backend: there is no way to say it that all of them have."""

    def share_card(self, megabytes: int | None) -> None:
        """Leave memory as it is: torch takes what it comes to need, and has no limit in MiB."""

    def card(self) -> str | None:
        """Return what the card is called that torch computes on; None if it computes on the processor."""
        torch = sys.modules.get("torch")  # imported by Keras, if that is what it runs on
        return str(torch.cuda.get_device_name()) if torch is not None and torch.cuda.is_available() else None

    def hold(self, data: TrainingData) -> PlainResident:
        """Scale data once, into memory."""
        return PlainResident(data)


class PlainResident:
    """Scaled data as float32 arrays."""

    any_batch = True

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._stored, self._scale = data.x_train, data.scale
        self._x = data.scale.apply(data.x_train)
        self._y = np.asarray(data.y_train)
        self._x_validation = data.scale.apply(data.x_validation)
        self._y_validation = np.asarray(data.y_validation)

    def epochs(self, model: keras.Model, feeding: Feeding) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""
        y, y_validation = (self._targets(labels, feeding) for labels in (self._y, self._y_validation))

        def train_epoch(plan: EpochPlan) -> Metrics:
            history = model.fit(
                self._seen(plan, feeding)[plan.order],
                y[plan.order],
                batch_size=plan.batch_size,
                shuffle=False,
                verbose=0,
                validation_data=(self._x_validation, y_validation),
                validation_batch_size=VALIDATION_BATCH,
                callbacks=[_setting(plan.rates)] if feeding.scheduled else [],
            )
            return {name: float(values[-1]) for name, values in history.history.items()}

        return train_epoch

    def _seen(self, plan: EpochPlan, feeding: Feeding) -> Array:
        if plan.windows is None:
            return self._x
        # A border is black in what is stored, which scaling may move from 0.
        return self._scale.apply(look(self._stored, plan.windows, feeding.shift))

    def _targets(self, y: Array, feeding: Feeding) -> Array:
        return as_one_hot(y, self.shape.outputs) if feeding.one_hot else y


def _setting(rates: NDArray[np.float32]) -> keras.callbacks.Callback:
    """Return a callback that sets the learning rate before each step, to rates (steps,)."""
    import keras  # not at the top: settings are checked without a backend

    class SetRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            # A callback's `model` is up to date; on JAX the optimizer itself is not while `fit` runs.
            self.model.optimizer.learning_rate = float(rates[batch])

    return SetRate()
