"""An epoch and its validation as one pure function of JAX.

On JAX, Keras' `train_step` and `test_step` take the state of a model and return the next one, so
compile, loss, metrics, dropout and regularizers stay Keras' own. Here a loop (`lax.scan`) gathers
each batch from arrays on the device. The last, partial batch is a step after the loop, because
compiled shapes are fixed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import keras

from assay.models.data import TrainingData
from assay.models.training.epoch import VALIDATION_BATCH, EpochInputs, InputConfig

if TYPE_CHECKING:
    from assay.models.data import Array

Values: TypeAlias = list[jax.Array]
Pair: TypeAlias = tuple[jax.Array, jax.Array]


class TrainingState(NamedTuple):
    """Values of the variables of model and optimizer.

    Each list is in Keras' order. For a trial batch, each array has one more axis, the first, along
    which the trials lie.
    """

    trainable: Values
    others: Values
    optimizer: Values


class DeviceArrays(NamedTuple):
    """Data on the device, as stored, and their scale.

    Validation data are split into batches (batches, VALIDATION_BATCH, ...) and the last, partial
    batch.
    """

    train: Pair
    validation: Pair
    last_validation: Pair
    factor: jax.Array
    offset: jax.Array


class EpochArrays(NamedTuple):
    """The arrays of `EpochInputs`; `crops` are rows and columns, or empty."""

    order: Array
    learning_rates: Array
    crops: tuple[Array, ...]


Logs: TypeAlias = dict[str, jax.Array]
Epoch: TypeAlias = Callable[[TrainingState, EpochArrays, DeviceArrays], tuple[TrainingState, Logs]]


def put_on_device(data: TrainingData) -> DeviceArrays:
    """Copy data to the device, as stored."""
    full = len(data.x_validation) // VALIDATION_BATCH * VALIDATION_BATCH
    x, y = data.x_validation, data.y_validation
    batches = tuple(
        array[:full].reshape(-1, VALIDATION_BATCH, *array.shape[1:]) for array in (x, y)
    )
    arrays = (
        (data.x_train, data.y_train),
        batches,
        (x[full:], y[full:]),
        data.scale.factor,
        data.scale.offset,
    )
    return DeviceArrays(*jax.device_put(arrays))


def without_validation(arrays: DeviceArrays) -> DeviceArrays:
    """Return the same training data with no validation data."""
    x, y = (jnp.zeros((0, *array.shape[1:]), array.dtype) for array in arrays.last_validation)
    return arrays._replace(validation=(x[None][:0], y[None][:0]), last_validation=(x, y))


def as_arrays(inputs: EpochInputs) -> EpochArrays:
    """Return the inputs of an epoch as arrays."""
    crops = () if inputs.crops is None else (inputs.crops.rows, inputs.crops.columns)
    return EpochArrays(inputs.order, inputs.learning_rates, crops)


def get_state(model: keras.Model) -> TrainingState:
    """Return the values of a built model's variables."""
    return TrainingState(*([variable.value for variable in kind] for kind in _variables(model)))


def set_state(model: keras.Model, state: TrainingState) -> None:
    """Assign values to the variables of a built model.

    A variable refers to its array, so nothing is copied.
    """
    for variables, values in zip(_variables(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def make_epoch(model: keras.Model, config: InputConfig, outputs: int) -> Epoch:
    """Return an epoch as a function that JAX can compile.

    It neither reads nor writes the variables of the model.
    """

    # The name appears in JAX's compilation cache.
    def epoch(
        state: TrainingState, inputs: EpochArrays, data: DeviceArrays
    ) -> tuple[TrainingState, Logs]:
        def prepare(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
            targets = jax.nn.one_hot(y, outputs) if config.one_hot else y
            return x.astype(jnp.float32) * data.factor + data.offset, targets

        def train_step(carry: Any, step: tuple[jax.Array, jax.Array | None]) -> tuple[Any, None]:
            (trainable, others, optimizer), metrics = carry
            indices, learning_rate = step
            x, y, *crops = (_gather(array, indices) for array in (*data.train, *inputs.crops))
            if config.augmented:
                rows, columns = crops
                x = _apply_crops(x, rows, columns, config.shift)
            if learning_rate is not None:
                optimizer = _set_learning_rate(model, optimizer, learning_rate)
            _, after = model.train_step((trainable, others, optimizer, metrics), prepare(x, y))
            *kinds, metrics = after
            return (TrainingState(*kinds), metrics), None

        def test_step(
            carry: tuple[Values, Values], batch: Pair
        ) -> tuple[tuple[Values, Values], None]:
            _, (_, others, metrics) = model.test_step((state.trainable, *carry), prepare(*batch))
            return (others, metrics), None

        # A loop over no batches would be traced all the same, so each part is left out if empty.
        batches, last_batch = _split_batches(inputs.order, config.batch_size)
        rates = last_rate = None
        if config.scheduled:
            rates = inputs.learning_rates[: len(batches)]
            last_rate = inputs.learning_rates[-1]
        carry = (state, _initial_metrics(model))
        if len(batches) > 0:
            carry, _ = jax.lax.scan(train_step, carry, (batches, rates))
        if len(last_batch) > 0:
            carry, _ = train_step(carry, (last_batch, last_rate))
        state, metrics = carry
        logs = _metric_results(model, metrics)

        # Metrics start anew; other variables, such as seeds, may change in validation too.
        validated = (state.others, _initial_metrics(model))
        if len(data.validation[0]) > 0:
            validated, _ = jax.lax.scan(test_step, validated, data.validation)
        if len(data.last_validation[0]) > 0:
            validated, _ = test_step(validated, data.last_validation)
        others, metrics = validated
        return state._replace(others=others), {
            **logs,
            **{f"val_{name}": value for name, value in _metric_results(model, metrics).items()},
        }

    return epoch


@contextlib.contextmanager
def override_weight_decay(
    model: keras.Model, weight_decay: jax.Array | float | None
) -> Iterator[None]:
    """Trace code with another weight decay.

    Keras reads the attribute while it traces a step, so a traced value becomes an input of the
    program; see `keras_compat.py`.
    """
    kept, model.optimizer.weight_decay = model.optimizer.weight_decay, weight_decay
    try:
        yield
    finally:
        model.optimizer.weight_decay = kept


def _variables(model: keras.Model) -> tuple[list[keras.Variable], ...]:
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def _set_learning_rate(model: keras.Model, optimizer: Values, learning_rate: jax.Array) -> Values:
    """Return the optimizer's values with another learning rate."""
    variables = model.optimizer.variables
    with keras.StatelessScope(list(zip(variables, optimizer, strict=True))) as scope:
        model.optimizer.learning_rate = learning_rate
    return [scope.get_current_value(variable) for variable in variables]


def _gather(array: jax.Array, indices: jax.Array) -> jax.Array:
    # The mode spares a check of every index: an order is a permutation.
    return array.at[indices].get(mode="promise_in_bounds")


def _split_batches(order: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Return the full batches (steps, batch_size), and the rest."""
    full = len(order) // batch_size * batch_size
    return order[:full].reshape(-1, batch_size), order[full:]


def _apply_crops(x: jax.Array, rows: jax.Array, columns: jax.Array, shift: int) -> jax.Array:
    """Return the crops of images, like `augmentation.apply_crops`."""
    bordered = jnp.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    image = jnp.arange(len(x))[:, None, None]
    return bordered.at[image, rows[:, :, None], columns[:, None, :]].get(mode="promise_in_bounds")


def _initial_metrics(model: keras.Model) -> Values:
    """Return the metrics' values before the first batch."""
    with keras.StatelessScope() as scope:
        model.reset_metrics()
    return [scope.get_current_value(variable) for variable in model.metrics_variables]


def _metric_results(model: keras.Model, metrics: Values) -> Logs:
    with keras.StatelessScope(list(zip(model.metrics_variables, metrics, strict=True))):
        results: Logs = model.get_metrics_result()
    return results
