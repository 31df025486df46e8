"""Epochs on JAX: one execution of one compiled program.

Keras' `fit` dispatches every batch from Python, and imports TensorFlow where it is installed, which
takes longer than many a training. Nothing here does either.

Measured (784-100-10, batches of 128, one thread): images that stay as stored and are scaled batch
by batch are as fast as float32 images, and take a quarter of the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from assay.models import keras_compat
from assay.models.backends import jax_epoch
from assay.models.data import TrainingData
from assay.models.training.epoch import EpochInputs, InputConfig, Metrics, TrainEpoch

if TYPE_CHECKING:
    import keras


class JaxBackend:
    """JAX, with an epoch as one execution."""

    def set_threads(self, threads: int) -> None:
        """Do nothing: JAX reads it from its environment when imported."""

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Do nothing: JAX reads the limit from its environment."""

    def set_deterministic(self) -> None:
        """Do nothing: JAX reads its flag from the environment, and needs none on the CPU."""

    def gpu_name(self) -> str | None:
        """Return the name of the GPU in use; None on the CPU."""
        try:
            device = jax.devices()[0]
        except RuntimeError:  # the environment requests a device that is missing
            return None
        return None if device.platform == "cpu" else str(device.device_kind)

    def is_variable(self, item: object) -> bool:
        """Return False: variables are Keras' own."""
        return False

    def load_dataset(self, data: TrainingData) -> JaxDataset:
        """Copy the data to the device, as stored."""
        return JaxDataset(data)


class JaxDataset:
    """Data as arrays of JAX."""

    takes_any_batch_size = False

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self.arrays = jax_epoch.put_on_device(data)

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        """Compile an epoch of a compiled model."""
        self.build_variables(model, config)
        epoch = jax_epoch.make_epoch(model, config, self.shape.outputs)
        # The state is donated: the next one takes its place in memory.
        execute = (
            jax.jit(epoch, donate_argnums=0)
            .lower(jax_epoch.get_state(model), self.input_specs(config), self.arrays)
            .compile()
        )

        def train_epoch(inputs: EpochInputs) -> Metrics:
            # The variables may hold another trial's values since the last epoch.
            state, logs = execute(
                jax_epoch.get_state(model), jax_epoch.as_arrays(inputs), self.arrays
            )
            jax_epoch.set_state(model, state)
            return {name: float(value) for name, value in jax.device_get(logs).items()}

        return train_epoch

    def build_variables(self, model: keras.Model, config: InputConfig) -> None:
        """Create the variables of model, optimizer and metrics."""
        _, y = self.arrays.train
        x_spec = jax.ShapeDtypeStruct((1, *self.shape.input_shape), "float32")
        y_spec = jax.ShapeDtypeStruct((1, *y.shape[1:]), y.dtype)
        if config.one_hot:
            y_spec = jax.ShapeDtypeStruct((1, self.shape.outputs), "float32")
        keras_compat.build_variables(model, x_spec, y_spec)

    def input_specs(self, config: InputConfig) -> jax_epoch.EpochArrays:
        """Return shapes and types of an epoch's inputs."""
        images = self.shape.train_images
        steps = -(-images // config.batch_size) if config.scheduled else 0
        crop_sides = self.shape.input_shape[:2] if config.augmented else ()
        return jax_epoch.EpochArrays(
            order=jax.ShapeDtypeStruct((images,), "int32"),
            learning_rates=jax.ShapeDtypeStruct((steps,), "float32"),
            crops=tuple(jax.ShapeDtypeStruct((images, side), "int32") for side in crop_sides),
        )
