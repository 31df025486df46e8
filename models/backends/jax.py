"""Epochs on JAX: an epoch and its validation are one execution of one compiled program.

Plain `fit` dispatches every batch from Python, and imports TensorFlow where that is installed,
which takes longer than many a training; nothing here does.

Choices that were measured (784-100-10, batches of 128, one thread): images stay as stored and are
scaled batch by batch, which is as fast as float32 from the start and takes a quarter of the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from assay.models.backends import jax_epoch
from assay.models.data import TrainingData
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics, TrainEpoch

if TYPE_CHECKING:
    import keras


class JaxBackend:
    """JAX, with an epoch as one execution."""

    def use_threads(self, threads: int) -> None:
        """Leave threads as they are: JAX heard of them before it was imported, see
        `jax_environment`.
        """

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Leave memory as it is: JAX reads in its environment what it may take."""

    def gpu_name(self) -> str | None:
        """Return what the card is called that JAX computes on; None if it computes on the
        processor.
        """
        try:
            device = jax.devices()[0]
        except RuntimeError:  # it was told by its environment to use what is not there
            return None
        return None if device.platform == "cpu" else str(device.device_kind)

    def load(self, data: TrainingData) -> JaxDataset:
        """Copy data to where JAX computes, in the type they are stored in."""
        return JaxDataset(data)


class JaxDataset:
    """Data as arrays of JAX."""

    any_batch = False

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self.data = jax_epoch.resident(data)

    def epochs(self, model: keras.Model, feeding: InputConfig) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called.

        Every epoch begins with the values that the model's variables have then, and ends with
        theirs assigned.
        """
        jax_epoch.build(model, feeding, self.data, self.shape.outputs)
        epoch = jax_epoch.epoch_of(model, feeding, self.shape.outputs)
        # The state is given away: the next takes its place in memory.
        compiled = jax.jit(epoch, donate_argnums=0).lower(
            jax_epoch.state_of(model), self.like(feeding), self.data
        )
        execute = compiled.compile()

        def train_epoch(plan: EpochInputs) -> Metrics:
            state, logs = execute(jax_epoch.state_of(model), jax_epoch.given(plan), self.data)
            jax_epoch.put(state, model)
            return {name: float(value) for name, value in jax.device_get(logs).items()}

        return train_epoch

    def like(self, feeding: InputConfig) -> jax_epoch.Given:
        """Return shapes and types of what an epoch will be given."""
        images = self.shape.train_images
        steps = -(-images // feeding.batch_size) if feeding.scheduled else 0
        sides = self.shape.input_shape[:2] if feeding.augmented else ()
        return jax_epoch.Given(
            order=jax.ShapeDtypeStruct((images,), "int32"),
            rates=jax.ShapeDtypeStruct((steps,), "float32"),
            windows=tuple(jax.ShapeDtypeStruct((images, side), "int32") for side in sides),
        )
