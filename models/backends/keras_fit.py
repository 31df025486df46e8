"""Epochs by Keras' own `fit`, for any model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.models.data import Array, TrainingData, as_one_hot
from assay.models.errors import is_out_of_memory
from assay.models.training.augmentation import apply_crops
from assay.models.training.epoch import (
    VALIDATION_BATCH,
    DeviceDataset,
    EpochInputs,
    InputConfig,
    Metrics,
    TrainEpoch,
)

if TYPE_CHECKING:
    import keras


class KerasFitBackend:
    """Any backend of Keras."""

    def set_threads(self, threads: int) -> None:
        """Do nothing: Keras has no call for all backends."""

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Do nothing: torch has no limit in MiB."""

    def set_deterministic(self) -> None:
        """Use torch's deterministic algorithms alone; one that has no such form raises an error."""
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False

    def gpu_name(self) -> str | None:
        """Return the name of torch's GPU; None on the CPU."""
        torch = sys.modules.get("torch")  # imported by Keras if it is the backend
        if torch is None or not torch.cuda.is_available():
            return None
        return str(torch.cuda.get_device_name())

    def is_variable(self, item: object) -> bool:
        """Return False: variables are Keras' own."""
        return False

    def load_dataset(self, data: TrainingData) -> KerasFitDataset:
        """Scale the data once, in memory."""
        return KerasFitDataset(data)


class KerasFitDataset:
    """Scaled data as float32 arrays in memory."""

    takes_any_batch_size = True

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._x_stored, self._scale = data.x_train, data.scale
        self._x = data.scale.apply(data.x_train)
        self._y = np.asarray(data.y_train)
        self._x_validation = data.scale.apply(data.x_validation)
        self._y_validation = np.asarray(data.y_validation)

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        """Compile an epoch of a compiled model."""
        y, y_validation = (
            self._targets(labels, config) for labels in (self._y, self._y_validation)
        )

        def train_epoch(inputs: EpochInputs) -> Metrics:
            schedule = [_learning_rate_callback(inputs.learning_rates)] if config.scheduled else []
            return train_and_validate(
                model,
                (self._augmented(inputs, config)[inputs.order], y[inputs.order]),
                (self._x_validation, y_validation),
                batch_size=inputs.batch_size,
                callbacks=schedule,
            )

        return train_epoch

    def _augmented(self, inputs: EpochInputs, config: InputConfig) -> Array:
        if inputs.crops is None:
            return self._x
        # The border is black before scaling, which may map 0 to another number.
        return self._scale.apply(apply_crops(self._x_stored, inputs.crops, config.shift))

    def _targets(self, y: Array, config: InputConfig) -> Array:
        return as_one_hot(y, self.shape.outputs) if config.one_hot else y


def train_and_validate(
    model: keras.Model,
    train: tuple[Array, Array],
    validation: tuple[Array, Array],
    batch_size: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Metrics:
    """Train for one epoch in the given order, and validate, with Keras' `fit` and `evaluate`.

    Args:
        model: compiled.
        train: inputs and targets, in the order of training.
        validation: inputs and targets.
        batch_size: number of examples per step of training.
        callbacks: of `fit`.
    """
    # The order is that of the examples.
    arguments = {"batch_size": batch_size, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    if not type(model).fit.__module__.startswith("keras."):
        # A `fit` of the user's own may do anything with its validation data.
        history = model.fit(
            *train, validation_data=validation, validation_batch_size=VALIDATION_BATCH, **arguments
        ).history
        return {name: float(values[-1]) for name, values in history.items()}
    with _without_weight_averaging(model.optimizer):
        return _train_and_validate(model, train, validation, arguments)


@contextmanager
def _without_weight_averaging(optimizer: keras.optimizers.Optimizer | None) -> Iterator[None]:
    """Disable what an optimizer with `use_ema` does at the end of `fit`.

    It replaces the weights by their average, and here each epoch is a `fit`.
    """
    if optimizer is None:
        yield
        return
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


def _train_and_validate(
    model: keras.Model,
    train: tuple[Array, Array],
    validation: tuple[Array, Array],
    arguments: Mapping[str, Any],
) -> Metrics:
    # In two calls: with validation data, `fit` reports what metrics return after the validation,
    # which is the wrong number if a metric returns its variable.
    history = model.fit(*train, **arguments).history
    measured = model.evaluate(*validation, batch_size=VALIDATION_BATCH, verbose=0, return_dict=True)
    return {
        **{name: float(values[-1]) for name, values in history.items()},
        **{f"val_{name}": float(value) for name, value in measured.items()},
    }


def _learning_rate_callback(learning_rates: NDArray[np.float32]) -> keras.callbacks.Callback:
    """Return a callback that sets the learning rate of each step."""
    import keras  # not at the top: settings are checked without a backend

    class SetLearningRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            # Reading `self.model` first: on JAX it copies the state of `fit` into the variables.
            self.model.optimizer.learning_rate = float(learning_rates[batch])

    return SetLearningRate()


class FallbackDataset:
    """A data set with `fit` for models that need it.

    A user-defined model may do anything, so its epoch may be impossible to trace as a whole.

    Args:
        fast: data set of the backend.
        data: the same data; scaled in memory when a model first needs `fit`.

    Attributes:
        note: why the last compiled epoch is a slow one; None if it is not.
        target_offset: what was subtracted from the targets; see `TrainingData`.
    """

    def __init__(self, fast: DeviceDataset, data: TrainingData) -> None:
        self.shape, self.takes_any_batch_size = fast.shape, fast.takes_any_batch_size
        self.fast = fast
        self.target_offset = data.target_offset
        self.note: str | None = None
        self._data = data
        self._plain: KerasFitDataset | None = None

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        """Compile an epoch of a compiled model.

        Raises:
            Exception: memory ran out, which would happen in `fit` as well.
        """
        self.note = None
        if isinstance(self.fast, KerasFitDataset):
            return self.fast.compile_epoch(model, config)
        reason = _why_fit_is_needed(model)
        if reason is None:
            try:
                return self.fast.compile_epoch(model, config)
            # Any exception: if the model is wrong, `fit` raises it again.
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                first_line = next(iter(str(error).strip().splitlines()), "")
                reason = f"it cannot be traced as a whole ({type(error).__name__}: {first_line})"
        self.note = f"trained by Keras' fit, which is slower: {reason}"
        if self._plain is None:
            self._plain = KerasFitDataset(self._data)
        return self._plain.compile_epoch(model, config)


_STEP_METHODS = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
    "train_step",
    "test_step",
    "compute_metrics",
    "get_metrics_result",
)


def defines_its_own_loss(model: keras.Model) -> bool:
    """Return whether a model computes its loss by a method of its own."""
    names = ("compute_loss", *_STEP_METHODS)
    return any(not getattr(type(model), name).__module__.startswith("keras.") for name in names)


def _why_fit_is_needed(model: keras.Model) -> str | None:
    """Return why the model needs Keras' `fit`, or None.

    It must if an epoch is more than layers, loss and metrics applied to each batch.
    """
    if model.run_eagerly:
        return "it is compiled to run eagerly"
    for name in _STEP_METHODS:
        # Only `fit` reports what a user-defined step returns.
        if not getattr(type(model), name).__module__.startswith("keras."):
            return f"it defines its own {name}"
    return None
