"""Epochs on TensorFlow: an epoch and its validation are one execution of one graph.

Plain `fit` returns to Python for every batch, which for small networks takes several times as long
as the arithmetic. Here a loop inside a graph gathers each batch from resident tensors and calls the
model's own `train_step`, so compile, loss, metrics, dropout and regularizers stay Keras' own.

Choices that were measured (784-h-10 networks of 32 to 512 hidden units, batches of 32 to 512, 1 and
2 threads):

- Images stay as stored and are scaled batch by batch: as fast as float32 from the start, a quarter
  of the memory.
- Batches have no fixed size in the graph, so the last, partial one needs no second copy of the
  step: 0.1 s less before the first step (0.2 s with convolutions), for at most a tenth more per
      epoch with the smallest networks.
- Adam and momentum step by TensorFlow's own kernels (see `tensorflow_kernels`): with batches of 32
  epochs of 128 and 512 hidden units are a fifth to a quarter shorter, with batches of 128 a
  twelfth. XLA for that step alone gains half as much and takes 0.5 s to compile.
- No XLA on the processor, where Keras too leaves it out unless told: it makes epochs of small
  batches a tenth shorter and the start of every trial 0.8 s longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import tensorflow as tf

from assay.models.backends.tensorflow_optimizers import direct_updates, kernels
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


Tensors: TypeAlias = tuple[tf.Tensor, tf.Tensor]
Means: TypeAlias = dict[str, tf.Tensor]
Step: TypeAlias = Callable[[tf.Tensor, tf.Tensor], None]


class TensorFlowBackend:
    """TensorFlow, with an epoch as one execution."""

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads within an operation, and as many operations at once.

        Raises:
            RuntimeError: TensorFlow has already run an operation with another number.
        """
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def limit_gpu_memory(self, megabytes: int | None) -> None:
        """Take so many MiB of a card's memory, or with None what comes to be needed; before the
        first operation.
        """
        _limit_gpu_memory(megabytes)

    def gpu_name(self) -> str | None:
        """Return what the card is called that TensorFlow computes on; None if it computes on the
        processor.
        """
        return _gpu_name()

    def load(self, data: TrainingData) -> TensorFlowDataset:
        """Copy data into tensors, in the type it is stored in."""
        return TensorFlowDataset(data)


class TensorFlowDataset:
    """Data as tensors."""

    any_batch = True

    def __init__(self, data: TrainingData) -> None:
        self.shape = data.shape
        self._train = (tf.constant(data.x_train), tf.constant(data.y_train))
        self._validation = (tf.constant(data.x_validation), tf.constant(data.y_validation))
        self._factor, self._offset = tf.constant(data.scale.factor), tf.constant(data.scale.offset)

    def epochs(self, model: keras.Model, feeding: InputConfig) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called."""
        self._create_variables(model, feeding)
        images = self.shape.train_images
        compiled = tf.function(
            partial(self._execute, model, feeding), autograph=False
        ).get_concrete_function(
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((images,), tf.int32),
            tf.TensorSpec((None,), tf.float32),
            tuple(
                tf.TensorSpec((images, side), tf.int32)
                for side in self.shape.input_shape[:2]
                if feeding.augmented
            ),
            self._train,
            self._validation,
        )

        def train_epoch(plan: EpochInputs) -> Metrics:
            windows = () if plan.windows is None else (plan.windows.rows, plan.windows.columns)
            trained, validated = compiled(
                tf.constant(plan.batch_size),
                tf.constant(plan.order),
                tf.constant(plan.rates),
                tuple(tf.constant(indices) for indices in windows),
                self._train,
                self._validation,
            )
            return {
                **{name: float(value) for name, value in trained.items()},
                **{f"val_{name}": float(value) for name, value in validated.items()},
            }

        return train_epoch

    def _execute(
        self,
        model: keras.Model,
        feeding: InputConfig,
        batch_size: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        windows: tuple[tf.Tensor, ...],
        train: Tensors,  # an argument: as constants, data would be copied into every graph
        validation: Tensors,
    ) -> tuple[Means, Means]:
        train_on, test_on = (_jitted(model, step) for step in (model.train_step, model.test_step))

        def train_step(start: tf.Tensor, size: tf.Tensor) -> None:
            chosen = tf.slice(order, [start], [size])
            x, y = tf.gather(train[0], chosen), tf.gather(train[1], chosen)
            if feeding.augmented:
                rows, columns = (tf.gather(indices, chosen) for indices in windows)
                x = _look(x, rows, columns, feeding.shift)
            if feeding.scheduled:
                model.optimizer.learning_rate.assign(rates[start // batch_size])
            train_on((self._scaled(x), self._targets(y, feeding)))

        def test_step(start: tf.Tensor, size: tf.Tensor) -> None:
            end = start + size
            test_on(
                (
                    self._scaled(validation[0][start:end]),
                    self._targets(validation[1][start:end], feeding),
                )
            )

        with kernels(model.optimizer), direct_updates(model.optimizer):
            trained = _run_steps(model, train_step, order.shape[0], batch_size)
        validated = _run_steps(model, test_step, validation[1].shape[0], VALIDATION_BATCH)
        return trained, validated

    def _scaled(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, tf.float32) * self._factor + self._offset

    def _targets(self, y: tf.Tensor, feeding: InputConfig) -> tf.Tensor:
        return tf.one_hot(y, self.shape.outputs) if feeding.one_hot else y

    def _create_variables(self, model: keras.Model, feeding: InputConfig) -> None:
        """Have the optimizer and the metrics create their variables, which they can't do inside a
        graph's loop.
        """
        model.optimizer.build(model.trainable_variables)
        model.test_step(
            (self._scaled(self._train[0][:1]), self._targets(self._train[1][:1], feeding))
        )


def _jitted(model: keras.Model, step: Callable[[Tensors], Means]) -> Callable[[Tensors], Means]:
    """Return a model's step as one program of XLA if the model is compiled so, as `fit` runs it.

    XLA takes arrays of one size: it compiles the last, partial batch once more when it comes to it.
    """
    return tf.function(step, jit_compile=True, autograph=False) if model.jit_compile else step


def _look(x: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, shift: int) -> tf.Tensor:
    """Return what `augmentation.look` returns of these images."""
    bordered = tf.pad(x, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    return tf.gather(tf.gather(bordered, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _run_steps(model: keras.Model, step: Step, images: int, batch_size: tf.Tensor | int) -> Means:
    """Run a step on each batch of the images in turn, told where it starts; return the means over
    all of them.
    """

    def run_step(start: tf.Tensor) -> tuple[tf.Tensor]:
        step(start, tf.minimum(batch_size, images - start))
        return (start + batch_size,)

    model.reset_metrics()
    tf.while_loop(lambda start: start < images, run_step, (tf.constant(0),))
    means: Means = model.get_metrics_result()
    return means


# TensorFlow on a card: its name, and how much of its memory is taken.


def _limit_gpu_memory(megabytes: int | None) -> None:
    """Take no more of a card's memory than so many MiB, or without a number no more than comes to
    be needed.

    Left alone, TensorFlow takes the whole card at its start, and the next worker gets none. A limit
    and growth exclude each other: what is limited is taken at once
    (https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth).
    """
    for card in tf.config.list_physical_devices("GPU"):
        if megabytes is None:
            tf.config.experimental.set_memory_growth(card, True)
        else:
            limited = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
            tf.config.set_logical_device_configuration(card, [limited])


def _gpu_name() -> str | None:
    """Return what the card is called that TensorFlow computes on; None if it computes on the
    processor.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return str(
        tf.config.experimental.get_device_details(gpus[0]).get("device_name", "of unknown name")
    )
