"""Epochs by Keras' own `fit`, on any backend."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.models.backends.base import DeviceDataset
from assay.models.data import Array, TrainingData, as_one_hot
from assay.models.errors import is_out_of_memory
from assay.models.training.augmentation import look
from assay.models.training.epoch import (
    VALIDATION_BATCH,
    EpochInputs,
    InputConfig,
    Metrics,
    TrainEpoch,
)

if TYPE_CHECKING:
    import keras


class KerasFitBackend:
    """Whatever backend Keras runs on."""

    def use_threads(self, threads: int) -> None:
        """Leave the number of threads to the backend: there is no way to say it that all of them
        have.
        """

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Leave memory as it is: torch takes what it comes to need, and has no limit in MiB."""

    def gpu_name(self) -> str | None:
        """Return what the card is called that torch computes on; None if it computes on the
        processor.
        """
        torch = sys.modules.get("torch")  # imported by Keras, if that is what it runs on
        return (
            str(torch.cuda.get_device_name())
            if torch is not None and torch.cuda.is_available()
            else None
        )

    def load(self, data: TrainingData) -> KerasFitDataset:
        """Scale data once, into memory."""
        return KerasFitDataset(data)


class KerasFitDataset:
    """Scaled data as float32 arrays."""

    any_batch = True

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._stored, self._scale = data.x_train, data.scale
        self._x = data.scale.apply(data.x_train)
        self._y = np.asarray(data.y_train)
        self._x_validation = data.scale.apply(data.x_validation)
        self._y_validation = np.asarray(data.y_validation)

    def epochs(self, model: keras.Model, feeding: InputConfig) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""
        y, y_validation = (
            self._targets(labels, feeding) for labels in (self._y, self._y_validation)
        )

        def train_epoch(plan: EpochInputs) -> Metrics:
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

    def _seen(self, plan: EpochInputs, feeding: InputConfig) -> Array:
        if plan.windows is None:
            return self._x
        # A border is black in what is stored, which scaling may move from 0.
        return self._scale.apply(look(self._stored, plan.windows, feeding.shift))

    def _targets(self, y: Array, feeding: InputConfig) -> Array:
        return as_one_hot(y, self.shape.outputs) if feeding.one_hot else y


def _setting(rates: NDArray[np.float32]) -> keras.callbacks.Callback:
    """Return a callback that sets the learning rate before each step, to rates (steps,)."""
    import keras  # not at the top: settings are checked without a backend

    class SetRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            # A callback's `model` is up to date; on JAX the optimizer itself is not while `fit`
            # runs.
            self.model.optimizer.learning_rate = float(rates[batch])

    return SetRate()


# Epochs of models that may do anything: those of users. What can't be one execution goes by Keras'
# own `fit`.


_STEPS = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
    "train_step",
    "test_step",
    "compute_metrics",
    "get_metrics_result",
)


class FallbackDataset:
    """Data that serve the fast epochs of a backend, and plain ones where a model needs them.

    Args:
        fast: the backend's own.
        data: the same; scaled into memory when first a model needs it.
    """

    def __init__(self, fast: DeviceDataset, data: TrainingData) -> None:
        self.shape, self.any_batch = fast.shape, fast.any_batch
        self.fast = fast
        self.note: str | None = None
        self._data = data
        self._plain: KerasFitDataset | None = None

    def epochs(self, model: keras.Model, feeding: InputConfig) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called; `note` says why,
        if it is slow.
        """
        self.note = None
        if isinstance(self.fast, KerasFitDataset):
            return self.fast.epochs(model, feeding)
        reason = _why_plain(model)
        if reason is None:
            try:
                return self.fast.epochs(model, feeding)
            # Whatever it is: if it is wrong in a plain epoch too, it is raised there.
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                first_line = next(iter(str(error).strip().splitlines()), "")
                reason = f"it can't be traced as a whole ({type(error).__name__}: {first_line})"
        self.note = f"trained by Keras' plain fit, which takes longer: {reason}"
        if self._plain is None:
            self._plain = KerasFitDataset(self._data)
        return self._plain.epochs(model, feeding)


def _why_plain(model: keras.Model) -> str | None:
    """Return why a model's epochs are more than its layers, loss and metrics applied to each batch;
    None if not.
    """
    if model.run_eagerly:
        return "it is compiled to run eagerly"
    for name in _STEPS:
        # Of a step that is not Keras' own, what it returns counts, and that is what `fit` shows.
        if not getattr(type(model), name).__module__.startswith("keras."):
            return f"it has a {name} of its own"
    return None
