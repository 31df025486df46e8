"""Epochs of several trials of one signature, vectorised over them (`jax.vmap`): one program trains
them all.

The batches are the same for all, so they are gathered once, and the first layer is one matrix
product of all trials' weights side by side. Each trial has its own weights, seeds, learning rates
and weight decay; nothing of one enters what another computes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from assay.models.backends import jax_epoch
from assay.models.backends.jax import JaxDataset
from assay.models.backends.jax_epoch import Given, State
from assay.models.data import Array
from assay.models.recipe import Recipe
from assay.models.seeding import seed_everything
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics
from assay.models.training.optimizers import decay_of, has_weight_decay

if TYPE_CHECKING:
    import keras

_TRIED_STEPS = 4
_TRIED_SECONDS = 0.3
_MOST_TRIES = 5

Execute: TypeAlias = Callable[[State, Given, Array, Array], tuple[State, jax_epoch.Logs]]


class VmapPrograms:
    """What of one signature is compiled: a model that is traced, and a program for each number of
    trials.

    Args:
        recipe: of any trial of the signature; what is not in the signature is not looked at.
        feeding: how data are given to it.
        resident: the data.

    Attributes:
        parameters: how many numbers the model consists of.
    """

    def __init__(self, recipe: Recipe, feeding: InputConfig, resident: JaxDataset) -> None:
        self._recipe, self._feeding, self._resident = recipe, feeding, resident
        self._model = recipe.compile(self._describe(recipe))
        jax_epoch.build(self._model, feeding, resident.data, resident.shape.outputs)
        self._fresh = jax.tree.map(np.asarray, jax_epoch.state_of(self._model))
        self._rate_at = [variable.name for variable in self._model.optimizer.variables].index(
            "learning_rate"
        )
        self._decays = has_weight_decay(recipe.train)
        self._compiled: dict[int, Execute] = {}
        self._compile_seconds = 0.0
        self._epoch_seconds: dict[int, float] = {}
        self._wins: dict[int, bool] = {}
        self.parameters = int(self._model.count_params())

    def begin(self, recipe: Recipe, seed: int) -> State:
        """Return the state that a trial of this signature begins with: as if it were compiled and
        built by itself.
        """
        seed_everything(seed)
        model = self._describe(recipe)
        kinds = (model.trainable_variables, model.non_trainable_variables)
        trainable, others = ([np.asarray(variable.value) for variable in kind] for kind in kinds)
        optimizer = list(self._fresh.optimizer)
        optimizer[self._rate_at] = np.asarray(recipe.train.learning_rate, np.float32)
        return State(trainable, others, optimizer)

    def size(self, trials: int, most: int | None, epochs: int) -> int:
        """Return how many trials the program should be for that trains so many: the cheapest by
        what is known.

        A program for more than there are to train computes for nobody; one for just as many may
        have to be compiled.

        Args:
            trials: how many are to be trained.
            most: how many the state at hand is for; None before the first epoch.
            epochs: how many are left.
        """
        known = {
            size for size in self._compiled if size >= trials and (most is None or size <= most)
        }
        return min({trials, *known}, key=lambda size: (self._cost(size, epochs), size))

    def wins(self, trials: int) -> bool:
        """Return whether so many trials take less time together than in turn, tried on a few
        batches.

        Both run the same loop over the same step on the same batches, and nothing but their time is
        kept. A whole epoch is not tried: where grouping loses, as with convolutions on a processor,
        it loses by several times.
        """
        if trials not in self._wins:
            together, alone = (self._try(size) for size in (trials, 1))
            self._wins[trials] = together < trials * alone
        return self._wins[trials]

    def compile(self, size: int) -> None:
        """Compile the program for so many trials, unless that was done."""
        if size in self._compiled:
            return
        started = time.perf_counter()
        self._compiled[size] = self._program(
            size, self._resident.like(self._feeding), self._resident.data
        )
        self._compile_seconds = time.perf_counter() - started

    def run(
        self, states: State, plan: EpochInputs, rates: Sequence[Array], decays: Sequence[float]
    ) -> tuple[State, list[Metrics], float]:
        """Train so many trials as there are rates for an epoch.

        Args:
            states: as `stack` returns them; left as they are, so that each trial can go on from
                them alone.
            plan: what the epoch does; its rates are not read.
            rates: by trial, each float32 (steps,), or empty.
            decays: the weight decay by trial.

        Returns:
            The states after it, what it measured by trial, and its seconds.
        """
        self.compile(len(rates))
        given = jax_epoch.given(plan)._replace(rates=np.empty(0, np.float32))
        started = time.perf_counter()
        states, logs = self._compiled[len(rates)](
            states, given, np.stack(rates), np.asarray(decays, np.float32)
        )
        measured = {name: np.asarray(values) for name, values in jax.device_get(logs).items()}
        seconds = time.perf_counter() - started
        self._epoch_seconds[len(rates)] = seconds
        each = [
            {name: float(values[lane]) for name, values in measured.items()}
            for lane in range(len(rates))
        ]
        return states, each, seconds

    def model(self, state: State, recipe: Recipe) -> keras.Model:
        """Return the model with a trial's state and weight decay; the next call changes it."""
        jax_epoch.put(state, self._model)
        if self._decays:
            self._model.optimizer.weight_decay = decay_of(recipe.train)
        return self._model

    def _describe(self, recipe: Recipe) -> keras.Model:
        return recipe.describe(self._resident.shape.input_shape, self._resident.shape.outputs)

    def _cost(self, size: int, epochs: int) -> float:
        """Return the seconds that so many epochs would take, compiling included, as far as can be
        told.
        """
        seconds = 0.0
        if self._epoch_seconds:
            known = min(self._epoch_seconds, key=lambda other: abs(other - size))
            # Between a loop that costs what it costs and arithmetic that grows with the trials.
            seconds = self._epoch_seconds[known] * (1 + size / known) / 2
        return epochs * seconds + (0.0 if size in self._compiled else self._compile_seconds)

    def _try(self, size: int) -> float:
        """Return the seconds of a few steps of so many trials."""
        steps = min(_TRIED_STEPS, self._resident.shape.train_images // self._feeding.batch_size)
        images = (
            steps * self._feeding.batch_size if steps > 0 else self._resident.shape.train_images
        )
        like = self._resident.like(self._feeding)
        order = np.arange(images, dtype=np.int32)
        windows = tuple(np.zeros(side.shape, np.int32) for side in like.windows)
        like = like._replace(order=jax.ShapeDtypeStruct(order.shape, order.dtype))
        data = jax_epoch.without_validation(self._resident.data)
        execute = self._program(size, like, data)
        arguments = (
            stack([self._fresh] * size),
            Given(order, np.empty(0, np.float32), windows),
            np.zeros((size, *like.rates.shape), np.float32),
            np.zeros(size, np.float32),
        )
        seconds: list[float] = []
        while sum(seconds) < _TRIED_SECONDS and len(seconds) < _MOST_TRIES:
            started = time.perf_counter()
            jax.block_until_ready(execute(*arguments))
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    def _program(self, size: int, like: Given, data: jax_epoch.Data) -> Execute:
        """Compile an epoch of so many trials on these data, given what is shaped like this."""
        epoch = jax_epoch.epoch_of(self._model, self._feeding, self._resident.shape.outputs)

        def one(
            state: State, given: Given, rates: jax.Array, decay: jax.Array, data: jax_epoch.Data
        ) -> Any:
            with jax_epoch.decaying(self._model, decay if self._decays else None):
                return epoch(state, given._replace(rates=rates), data)

        def group_epoch(
            states: State, given: Given, rates: jax.Array, decays: jax.Array, data: jax_epoch.Data
        ) -> Any:
            if size > 1:
                return jax.vmap(one, in_axes=(0, None, 0, 0, None))(
                    states, given, rates, decays, data
                )
            # Without an axis of one, which would keep convolutions from their usual code.
            alone = one(
                jax.tree.map(lambda value: value[0], states), given, rates[0], decays[0], data
            )
            return jax.tree.map(lambda value: value[None], alone)

        # The states are not given away: when a group fails, its trials go on from them one at a
        # time.
        compiled = (
            jax.jit(group_epoch)
            .lower(
                jax.tree.map(
                    lambda value: jax.ShapeDtypeStruct((size, *value.shape), value.dtype),
                    self._fresh,
                ),
                like._replace(rates=jax.ShapeDtypeStruct((0,), jnp.float32)),
                jax.ShapeDtypeStruct((size, *like.rates.shape), jnp.float32),
                jax.ShapeDtypeStruct((size,), jnp.float32),
                data,
            )
            .compile()
        )
        return lambda states, given, rates, decays: compiled(states, given, rates, decays, data)


def stack(states: Sequence[State]) -> State:
    """Return the states of trials as one, each array with them along its first axis."""
    stacked: State = jax.tree.map(lambda *values: jax.device_put(np.stack(values)), *states)
    return stacked


def taken(states: State, lanes: Sequence[int]) -> State:
    """Return these of the trials, in this order, as one."""
    chosen = np.asarray(lanes)
    some: State = jax.tree.map(lambda values: values[chosen], states)
    return some


def lane_of(states: State, lane: int) -> State:
    """Return the state of one of the trials."""
    one: State = jax.tree.map(lambda values: values[lane], states)
    return one
