"""Epochs of a trial batch: one program by `jax.vmap`.

The trials share their compile key and their batches. Each batch is gathered once, and the first
layer is one matrix product with the weights of all trials side by side. Each trial has its own
weights, seeds, learning rates and weight decay, and depends on no other trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from assay.models import keras_compat
from assay.models.backends import jax_epoch
from assay.models.backends.jax import JaxDataset
from assay.models.backends.jax_epoch import EpochArrays, TrainingState
from assay.models.data import Array
from assay.models.recipe import Recipe
from assay.models.seeding import seed_everything
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics
from assay.models.training.optimizers import effective_weight_decay, has_weight_decay

if TYPE_CHECKING:
    import keras

_CALIBRATION_STEPS = 4
_CALIBRATION_SECONDS = 0.3
_MOST_CALIBRATION_RUNS = 5

Execute: TypeAlias = Callable[
    [TrainingState, EpochArrays, Array, Array], tuple[TrainingState, jax_epoch.Logs]
]


class VmapPrograms:
    """Compiled epochs of one compile key, by number of trials.

    Args:
        recipe: recipe of any trial with the compile key.
        config: how data are passed to the model.
        dataset: the data.

    Attributes:
        parameters: number of parameters of the model.
    """

    def __init__(self, recipe: Recipe, config: InputConfig, dataset: JaxDataset) -> None:
        self._recipe, self._config, self._dataset = recipe, config, dataset
        self._model = recipe.compile(self._describe(recipe))
        dataset.build_variables(self._model, config)
        self._initial = jax.tree.map(np.asarray, jax_epoch.get_state(self._model))
        optimizer = self._model.optimizer
        self._learning_rate_index = next(
            index
            for index, variable in enumerate(optimizer.variables)
            if variable is optimizer.learning_rate
        )
        # With an unsupported Keras the weight decay is a constant that all trials share.
        self._decays = has_weight_decay(recipe.train) and keras_compat.is_supported()
        self._programs: dict[int, Execute] = {}
        self._compile_seconds = 0.0
        self._epoch_seconds: dict[int, float] = {}
        self._is_faster: dict[int, bool] = {}
        self.parameters = int(self._model.count_params())

    def initial_state(self, recipe: Recipe, seed: int) -> TrainingState:
        """Return a trial's state before its first epoch.

        It equals that of a model which is compiled and built for the trial alone.
        """
        # The model only gives its initial weights. It is not compiled, and then freed.
        seed_everything(seed)
        model = self._describe(recipe)
        kinds = (model.trainable_variables, model.non_trainable_variables)
        trainable, others = ([np.asarray(variable.value) for variable in kind] for kind in kinds)
        # The optimizer's variables start at the same values in all trials but for this one.
        optimizer = list(self._initial.optimizer)
        optimizer[self._learning_rate_index] = np.asarray(recipe.train.learning_rate, np.float32)
        return TrainingState(trainable, others, optimizer)

    def choose_size(self, trials: int, most: int | None, epochs: int) -> int:
        """Return the program size with which the trials should end first.

        The size of a program is the number of trials that it trains. A larger program computes some
        of them for nothing; one of exactly the right size may have to be compiled first.

        Args:
            trials: number of trials to train.
            most: size of the current program; None before the first epoch.
            epochs: number of epochs that remain.
        """
        compiled = {
            size for size in self._programs if size >= trials and (most is None or size <= most)
        }
        return min({trials, *compiled}, key=lambda size: (self._cost(size, epochs), size))

    def is_faster_together(self, trials: int) -> bool:
        """Return whether a trial batch is faster than single trials.

        Measured once per number of trials, on a few batches. Both ways run the same loop, and only
        its time is kept. A few batches suffice: where a trial batch is slower, as with convolutions
        on a CPU, it is slower by several times.
        """
        if trials not in self._is_faster:
            together, single = (self._measure_seconds(size) for size in (trials, 1))
            self._is_faster[trials] = together < trials * single
        return self._is_faster[trials]

    def compile_size(self, size: int) -> None:
        """Compile the program for a number of trials, once."""
        if size in self._programs:
            return
        started = time.perf_counter()
        specs = self._dataset.input_specs(self._config)
        self._programs[size] = self._compile_program(size, specs, self._dataset.arrays)
        self._compile_seconds = time.perf_counter() - started

    def train_epoch(
        self,
        states: TrainingState,
        inputs: EpochInputs,
        learning_rates: Sequence[Array],
        weight_decays: Sequence[float],
    ) -> tuple[TrainingState, list[Metrics], float]:
        """Train one epoch of all trials.

        Args:
            states: states of the trials, as `stack_states` returns them; not changed, so that the
                trials can continue from them if the epoch fails.
            inputs: what the epoch is given; its learning rates are not used.
            learning_rates: by trial, each float32 (steps,), or empty.
            weight_decays: by trial.

        Returns:
            The states after the epoch, the metrics by trial, and the seconds of the epoch.
        """
        size = len(learning_rates)
        self.compile_size(size)
        arrays = jax_epoch.as_arrays(inputs)._replace(learning_rates=np.empty(0, np.float32))
        started = time.perf_counter()
        states, logs = self._programs[size](
            states, arrays, np.stack(learning_rates), np.asarray(weight_decays, np.float32)
        )
        # JAX returns before it has computed; reading the logs waits for the epoch.
        values = {name: np.asarray(array) for name, array in jax.device_get(logs).items()}
        seconds = time.perf_counter() - started
        self._epoch_seconds[size] = seconds
        metrics = [
            {name: float(array[position]) for name, array in values.items()}
            for position in range(size)
        ]
        return states, metrics, seconds

    def load_state(self, state: TrainingState, recipe: Recipe) -> keras.Model:
        """Return the model in a trial's state, until the next call."""
        jax_epoch.set_state(self._model, state)
        if self._decays:
            self._model.optimizer.weight_decay = effective_weight_decay(recipe.train)
        return self._model

    def _describe(self, recipe: Recipe) -> keras.Model:
        return recipe.describe(self._dataset.shape.input_shape, self._dataset.shape.outputs)

    def _cost(self, size: int, epochs: int) -> float:
        """Return the expected seconds of the epochs, compiling included."""
        seconds = 0.0
        if self._epoch_seconds:
            measured = min(self._epoch_seconds, key=lambda other: abs(other - size))
            # Half of an epoch's time is taken as constant, half as proportional to the size.
            seconds = self._epoch_seconds[measured] * (1 + size / measured) / 2
        return epochs * seconds + (0.0 if size in self._programs else self._compile_seconds)

    def _measure_seconds(self, size: int) -> float:
        """Return the seconds of a few steps."""
        batch_size, train_images = self._config.batch_size, self._dataset.shape.train_images
        steps = min(_CALIBRATION_STEPS, train_images // batch_size)
        images = steps * batch_size if steps > 0 else train_images
        specs = self._dataset.input_specs(self._config)
        order = np.arange(images, dtype=np.int32)
        crops = tuple(np.zeros(side.shape, np.int32) for side in specs.crops)
        specs = specs._replace(order=jax.ShapeDtypeStruct(order.shape, order.dtype))
        execute = self._compile_program(
            size, specs, jax_epoch.without_validation(self._dataset.arrays)
        )
        arguments = (
            stack_states([self._initial] * size),
            EpochArrays(order, np.empty(0, np.float32), crops),
            np.zeros((size, *specs.learning_rates.shape), np.float32),
            np.zeros(size, np.float32),
        )
        # The minimum of several runs is the least disturbed by other processes.
        seconds: list[float] = []
        while sum(seconds) < _CALIBRATION_SECONDS and len(seconds) < _MOST_CALIBRATION_RUNS:
            started = time.perf_counter()
            jax.block_until_ready(execute(*arguments))
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    def _compile_program(
        self, size: int, specs: EpochArrays, data: jax_epoch.DeviceArrays
    ) -> Execute:
        """Compile an epoch for these data and input shapes."""
        epoch = jax_epoch.make_epoch(self._model, self._config, self._dataset.shape.outputs)

        def trial_epoch(
            state: TrainingState,
            inputs: EpochArrays,
            learning_rates: jax.Array,
            weight_decay: jax.Array,
            data: jax_epoch.DeviceArrays,
        ) -> Any:
            inputs = inputs._replace(learning_rates=learning_rates)
            if not self._decays:
                return epoch(state, inputs, data)
            with jax_epoch.override_weight_decay(self._model, weight_decay):
                return epoch(state, inputs, data)

        # The name appears in JAX's compilation cache.
        def group_epoch(
            states: TrainingState,
            inputs: EpochArrays,
            learning_rates: jax.Array,
            weight_decays: jax.Array,
            data: jax_epoch.DeviceArrays,
        ) -> Any:
            if size > 1:
                return jax.vmap(trial_epoch, in_axes=(0, None, 0, 0, None))(
                    states, inputs, learning_rates, weight_decays, data
                )
            # Without vmap: an axis of length 1 would keep convolutions from their usual code.
            state = jax.tree.map(lambda value: value[0], states)
            result = trial_epoch(state, inputs, learning_rates[0], weight_decays[0], data)
            return jax.tree.map(lambda value: value[None], result)

        state_specs = jax.tree.map(
            lambda value: jax.ShapeDtypeStruct((size, *value.shape), value.dtype), self._initial
        )
        # The states are not donated: if the batch fails, its trials continue from them one by one.
        compiled = (
            jax.jit(group_epoch)
            .lower(
                state_specs,
                specs._replace(learning_rates=jax.ShapeDtypeStruct((0,), jnp.float32)),
                jax.ShapeDtypeStruct((size, *specs.learning_rates.shape), jnp.float32),
                jax.ShapeDtypeStruct((size,), jnp.float32),
                data,
            )
            .compile()
        )
        return lambda states, inputs, rates, decays: compiled(states, inputs, rates, decays, data)


def stack_states(states: Sequence[TrainingState]) -> TrainingState:
    """Return states as one, with the trials along the first axes."""
    stacked: TrainingState = jax.tree.map(lambda *values: jax.device_put(np.stack(values)), *states)
    return stacked


def select_trials(states: TrainingState, positions: Sequence[int]) -> TrainingState:
    """Return the states at these positions as one."""
    indices = np.asarray(positions)
    selected: TrainingState = jax.tree.map(lambda values: values[indices], states)
    return selected


def get_trial_state(states: TrainingState, position: int) -> TrainingState:
    """Return the state of the trial at a position."""
    state: TrainingState = jax.tree.map(lambda values: values[position], states)
    return state
