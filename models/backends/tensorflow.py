"""Epochs on TensorFlow: one execution of one graph.

Keras' `fit` returns to Python for every batch, which for small networks takes several times as long
as the arithmetic. Here a loop inside a graph gathers each batch from tensors on the device and
calls the model's own `train_step`, so compile, loss, metrics, dropout and regularizers stay Keras'
own.

Choices that were measured (784-h-10 networks of 32 to 512 hidden units, batches of 32 to 512, 1 and
2 threads):

- Images stay as stored and are scaled batch by batch: as fast as float32 from the start, a quarter
  of the memory.
- Batches have no fixed size in the graph, so the last, partial batch needs no second copy of the
  step: 0.1 s less before the first step (0.2 s with convolutions), for at most a tenth more per
  epoch with the smallest networks.
- Adam and momentum step by TensorFlow's kernels (see `tensorflow_optimizers.py`): with batches of
  32, epochs of 128 and 512 hidden units are a fifth to a quarter shorter, with batches of 128 a
  twelfth. XLA for that step alone gains half as much and takes 0.5 s to compile.
- No XLA on the CPU, which is Keras' default too: it makes epochs of small batches a tenth shorter,
  and the start of every trial 0.8 s longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import tensorflow as tf

from assay.models.backends.tensorflow_optimizers import fast_updates
from assay.models.data import TrainingData
from assay.models.training.epoch import (
    VALIDATION_BATCH,
    EpochInputs,
    InputConfig,
    Metrics,
    TrainEpoch,
)

if TYPE_CHECKING:
    import keras

Pair: TypeAlias = tuple[tf.Tensor, tf.Tensor]
Means: TypeAlias = dict[str, tf.Tensor]
Step: TypeAlias = Callable[[tf.Tensor, tf.Tensor], None]


class TensorFlowBackend:
    """TensorFlow, with an epoch as one execution."""

    def set_threads(self, threads: int) -> None:
        """Set the threads per operation, and the operations at a time.

        Raises:
            RuntimeError: TensorFlow has run an operation with another number.
        """
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Limit the memory of each GPU, in MiB; None for no limit.

        Must be called before the first operation.
        """
        # By default TensorFlow takes the whole GPU at its start, and the next worker gets none. A
        # limit and growth exclude each other: a limited amount is taken at once
        # (https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth).
        for gpu in tf.config.list_physical_devices("GPU"):
            if megabytes is None:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                limited = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
                tf.config.set_logical_device_configuration(gpu, [limited])

    def set_deterministic(self) -> None:
        """Use deterministic operations alone; one that has no such form raises an error."""
        tf.config.experimental.enable_op_determinism()

    def gpu_name(self) -> str | None:
        """Return the name of the GPU in use; None on the CPU."""
        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return None
        details = tf.config.experimental.get_device_details(gpus[0])
        return str(details.get("device_name", "of unknown name"))

    def is_variable(self, item: object) -> bool:
        """Return whether an object is a `tf.Variable`."""
        return isinstance(item, tf.Variable)

    def load_dataset(self, data: TrainingData) -> TensorFlowDataset:
        """Copy the data into tensors, as stored."""
        return TensorFlowDataset(data)


class TensorFlowDataset:
    """Data as tensors."""

    takes_any_batch_size = True

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._train = (tf.constant(data.x_train), tf.constant(data.y_train))
        self._validation = (tf.constant(data.x_validation), tf.constant(data.y_validation))
        self._factor, self._offset = tf.constant(data.scale.factor), tf.constant(data.scale.offset)

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        """Compile an epoch of a compiled model."""
        self._create_variables(model, config)
        # Traced now, so that what cannot be traced fails before the first epoch.
        images = self.shape.train_images
        crop_sides = self.shape.input_shape[:2] if config.augmented else ()
        execute = tf.function(
            partial(self._trace_epoch, model, config), autograph=False
        ).get_concrete_function(
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((images,), tf.int32),
            tf.TensorSpec((None,), tf.float32),
            tuple(tf.TensorSpec((images, side), tf.int32) for side in crop_sides),
            self._train,
            self._validation,
        )

        def train_epoch(inputs: EpochInputs) -> Metrics:
            crops = () if inputs.crops is None else (inputs.crops.rows, inputs.crops.columns)
            trained, validated = execute(
                tf.constant(inputs.batch_size),
                tf.constant(inputs.order),
                tf.constant(inputs.learning_rates),
                tuple(tf.constant(indices) for indices in crops),
                self._train,
                self._validation,
            )
            return {
                **{name: float(value) for name, value in trained.items()},
                **{f"val_{name}": float(value) for name, value in validated.items()},
            }

        return train_epoch

    def _trace_epoch(
        self,
        model: keras.Model,
        config: InputConfig,
        batch_size: tf.Tensor,
        order: tf.Tensor,
        learning_rates: tf.Tensor,
        crops: tuple[tf.Tensor, ...],
        # Arguments: a graph would hold a copy of the data if they were constants in it.
        train: Pair,
        validation: Pair,
    ) -> tuple[Means, Means]:
        """Trace an epoch and its validation."""
        train_on, test_on = (_compiled(model, step) for step in (model.train_step, model.test_step))

        def train_step(start: tf.Tensor, size: tf.Tensor) -> None:
            # Gathered and scaled per batch: the data stay on the device as stored.
            indices = tf.slice(order, [start], [size])
            x, y = tf.gather(train[0], indices), tf.gather(train[1], indices)
            if config.augmented:
                rows, columns = (tf.gather(side, indices) for side in crops)
                x = _apply_crops(x, rows, columns, config.shift)
            if config.scheduled:
                model.optimizer.learning_rate.assign(learning_rates[start // batch_size])
            train_on((self._scaled(x), self._targets(y, config)))

        def test_step(start: tf.Tensor, size: tf.Tensor) -> None:
            x, y = (array[start : start + size] for array in validation)
            test_on((self._scaled(x), self._targets(y, config)))

        with fast_updates(model.optimizer):
            trained = _loop_over_batches(model, train_step, order.shape[0], batch_size)
        validation_images = validation[1].shape[0]
        validated = _loop_over_batches(model, test_step, validation_images, VALIDATION_BATCH)
        return trained, validated

    def _scaled(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, tf.float32) * self._factor + self._offset

    def _targets(self, y: tf.Tensor, config: InputConfig) -> tf.Tensor:
        return tf.one_hot(y, self.shape.outputs) if config.one_hot else y

    def _create_variables(self, model: keras.Model, config: InputConfig) -> None:
        """Create the variables of optimizer and metrics."""
        # A loop in a graph cannot create variables.
        model.optimizer.build(model.trainable_variables)
        x, y = (array[:1] for array in self._train)
        model.test_step((self._scaled(x), self._targets(y, config)))


def _compiled(model: keras.Model, step: Callable[[Pair], Means]) -> Callable[[Pair], Means]:
    """Return a step, compiled with XLA if the model is."""
    # XLA needs fixed sizes: it compiles the step once more for the last, partial batch.
    return tf.function(step, jit_compile=True, autograph=False) if model.jit_compile else step


def _apply_crops(x: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, shift: int) -> tf.Tensor:
    """Return the crops of images, like `augmentation.apply_crops`."""
    bordered = tf.pad(x, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    return tf.gather(tf.gather(bordered, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _loop_over_batches(
    model: keras.Model, step: Step, images: int, batch_size: tf.Tensor | int
) -> Means:
    """Run a step on each batch; return means over all images.

    Args:
        model: whose metrics are measured.
        step: is given the first image and the size of a batch.
        images: number of images.
        batch_size: size of all batches but the last.
    """

    def run_step(start: tf.Tensor) -> tuple[tf.Tensor]:
        step(start, tf.minimum(batch_size, images - start))
        return (start + batch_size,)

    model.reset_metrics()
    tf.while_loop(lambda start: start < images, run_step, (tf.constant(0),))
    # Copies: a metric may return its variable, which validation will change.
    return {name: tf.identity(value) for name, value in model.get_metrics_result().items()}
