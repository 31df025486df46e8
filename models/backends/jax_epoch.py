"""An epoch and its validation as one pure function of JAX: what trains alone, and what is
vectorised over trials.

Keras' own `train_step` and `test_step` on JAX take a model's state and give the next, so compile,
loss, metrics, dropout and regularizers stay Keras' own; here they are only put into a loop
(`lax.scan`) that gathers each batch from resident arrays. The last batch, of fewer images, is a
step of its own after the loop: compiled shapes are fixed.
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


class State(NamedTuple):
    """All that an epoch changes: the values of a model's variables and of its optimizer's, each
    kind in Keras' order.

    Of several trials, each array has a first axis more, along which they lie.
    """

    trainable: Values
    others: Values
    optimizer: Values


class Data(NamedTuple):
    """What is trained on, as stored, and how it is scaled. Validation lies in batches already, the
    last one apart.
    """

    train: Pair
    validation: Pair
    last_validation: Pair
    factor: jax.Array
    offset: jax.Array


class Given(NamedTuple):
    """What one epoch is given, as `EpochInputs` has it; `windows` are rows and columns, or
    nothing.
    """

    order: Array
    rates: Array
    windows: tuple[Array, ...]


Logs: TypeAlias = dict[str, jax.Array]
Epoch: TypeAlias = Callable[[State, Given, Data], tuple[State, Logs]]


def resident(data: TrainingData) -> Data:
    """Copy data to where JAX computes, in the type they are stored in."""
    full = len(data.x_validation) // VALIDATION_BATCH * VALIDATION_BATCH
    halves = [(array[:full], array[full:]) for array in (data.x_validation, data.y_validation)]
    batches = [part.reshape(-1, VALIDATION_BATCH, *part.shape[1:]) for part, _ in halves]
    whole = (
        (data.x_train, data.y_train),
        tuple(batches),
        tuple(last for _, last in halves),
        data.scale.factor,
        data.scale.offset,
    )
    return Data(*jax.device_put(whole))


def without_validation(data: Data) -> Data:
    """Return data to train on and not to validate on."""
    x, y = (jnp.zeros((0, *array.shape[1:]), array.dtype) for array in data.last_validation)
    return data._replace(validation=(x[None][:0], y[None][:0]), last_validation=(x, y))


def given(plan: EpochInputs) -> Given:
    """Return a plan as an epoch takes it."""
    windows = () if plan.windows is None else (plan.windows.rows, plan.windows.columns)
    return Given(plan.order, plan.rates, windows)


def build(model: keras.Model, feeding: InputConfig, data: Data, outputs: int) -> None:
    """Have the model, its optimizer and its metrics create their variables, without computing
    anything.
    """
    x, y = (jax.ShapeDtypeStruct((1, *array.shape[1:]), array.dtype) for array in data.train)
    shown = jax.ShapeDtypeStruct(x.shape, jnp.float32)
    hot = jax.ShapeDtypeStruct((1, outputs), jnp.float32)
    model._symbolic_build(
        data_batch=(shown, hot if feeding.one_hot else y)
    )  # as Keras' own `fit` does it


def state_of(model: keras.Model) -> State:
    """Return the values of a built model's variables."""
    return State(*([variable.value for variable in kind] for kind in _variables(model)))


def put(state: State, model: keras.Model) -> None:
    """Give a model's variables these values. No number is copied: a variable only refers to its
    array.
    """
    for variables, values in zip(_variables(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def epoch_of(model: keras.Model, feeding: InputConfig, outputs: int) -> Epoch:
    """Return what an epoch of a built model does, as a function that can be compiled.

    The model's own variables are neither read nor written by it.
    """

    def epoch(state: State, given: Given, data: Data) -> tuple[State, Logs]:
        def shown(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
            targets = jax.nn.one_hot(y, outputs) if feeding.one_hot else y
            return x.astype(jnp.float32) * data.factor + data.offset, targets

        def train(carry: Any, step: tuple[jax.Array, jax.Array | None]) -> tuple[Any, None]:
            (trainable, others, optimizer), metrics = carry
            chosen, rate = step
            x, y, *windows = (_rows(array, chosen) for array in (*data.train, *given.windows))
            if feeding.augmented:
                rows, columns = windows
                x = _look(x, rows, columns, feeding.shift)
            if rate is not None:
                optimizer = _with_rate(model, optimizer, rate)
            _, after = model.train_step((trainable, others, optimizer, metrics), shown(x, y))
            *kinds, metrics = after
            return (State(*kinds), metrics), None

        def validate(
            carry: tuple[Values, Values], batch: Pair
        ) -> tuple[tuple[Values, Values], None]:
            _, (_, others, metrics) = model.test_step((state.trainable, *carry), shown(*batch))
            return (others, metrics), None

        steps, last = _batches(given.order, feeding.batch_size)
        rates, last_rate = (
            (given.rates[: len(steps)], given.rates[-1]) if feeding.scheduled else (None, None)
        )
        carry = (state, _no_metrics(model))
        if len(steps) > 0:
            carry, _ = jax.lax.scan(train, carry, (steps, rates))
        if len(last) > 0:
            carry, _ = train(carry, (last, last_rate))
        state, metrics = carry
        logs = _results(model, metrics)
        validated = (state.others, _no_metrics(model))
        if len(data.validation[0]) > 0:
            validated, _ = jax.lax.scan(validate, validated, data.validation)
        if len(data.last_validation[0]) > 0:
            validated, _ = validate(validated, data.last_validation)
        others, metrics = validated
        return state._replace(others=others), {
            **logs,
            **{f"val_{name}": value for name, value in _results(model, metrics).items()},
        }

    return epoch


def _with_rate(model: keras.Model, optimizer: Values, rate: jax.Array) -> Values:
    """Return the values of the optimizer's variables with another learning rate."""
    with keras.StatelessScope(
        list(zip(model.optimizer.variables, optimizer, strict=True))
    ) as scope:
        model.optimizer.learning_rate = rate
    return [scope.get_current_value(variable) for variable in model.optimizer.variables]


@contextlib.contextmanager
def decaying(model: keras.Model, decay: jax.Array | float | None) -> Iterator[None]:
    """Have the model's optimizer take off this part of its weights while code is traced: Keras has
    it as a constant.
    """
    kept, model.optimizer.weight_decay = model.optimizer.weight_decay, decay
    try:
        yield
    finally:
        model.optimizer.weight_decay = kept


def _variables(model: keras.Model) -> tuple[list[keras.Variable], ...]:
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def _rows(array: jax.Array, chosen: jax.Array) -> jax.Array:
    return array.at[chosen].get(mode="promise_in_bounds")


def _batches(order: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Return the order's full batches (steps, batch_size), and what is left of it."""
    full = len(order) // batch_size * batch_size
    return order[:full].reshape(-1, batch_size), order[full:]


def _look(x: jax.Array, rows: jax.Array, columns: jax.Array, shift: int) -> jax.Array:
    """Return what `augmentation.look` returns of these images."""
    bordered = jnp.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    image = jnp.arange(len(x))[:, None, None]
    return bordered.at[image, rows[:, :, None], columns[:, None, :]].get(mode="promise_in_bounds")


def _no_metrics(model: keras.Model) -> Values:
    """Return the values of the metrics' variables before the first batch."""
    with keras.StatelessScope() as scope:
        model.reset_metrics()
    return [scope.get_current_value(variable) for variable in model.metrics_variables]


def _results(model: keras.Model, metrics: Values) -> Logs:
    with keras.StatelessScope(list(zip(model.metrics_variables, metrics, strict=True))):
        results: Logs = model.get_metrics_result()
    return results
