"""The recipe: describe the architecture, select optimizer and loss, compile, fit, test.

Example:
    >>> dataset = current_backend().load_dataset(load_training_data(folder, "unit"))
    >>> recipe = Recipe(FAMILIES["mlp"], MLPSettings(hidden_units=100), TrainSettings(epochs=3))
    >>> model = recipe.describe(dataset.shape.input_shape, dataset.shape.outputs)
    >>> recipe.compile(model)
    >>> for metrics in recipe.fit(model, dataset, seed=0):
    ...     print(metrics)
    >>> print(test(model, x_test, y_test, recipe.one_hot))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.models.architectures import precompiled
from assay.models.architectures.registry import Family
from assay.models.data import Array, DataShape, as_one_hot
from assay.models.settings import Settings
from assay.models.tasks import Task
from assay.models.training import losses, optimizers
from assay.models.training.config import TrainSettings
from assay.models.training.epoch import VALIDATION_BATCH, DeviceDataset, Metrics, TrainEpoch
from assay.models.training.fit import Fit, make_input_config
from assay.models.training.metrics import create_metrics

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained, without weights.

    Attributes:
        family: family of the network.
        model: its settings.
        train: settings of the training.
        task: what the network predicts.
    """

    family: Family[Any]
    model: Settings
    train: TrainSettings
    task: Task = "classification"

    @property
    def one_hot(self) -> bool:
        """Whether the loss takes labels (n,) as rows (n, classes)."""
        return losses.wants_one_hot(self.train, self.task)

    def describe(self, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
        """Describe the architecture.

        Args:
            input_shape: (height, width, channels) or (features,).
            outputs: number of classes; in regression, width of a target.

        Returns:
            A model (batch, *input_shape) -> (batch, outputs): one logit per class, or values.
        """
        return self.family.describe(self.model, input_shape, outputs)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Select the optimizer."""
        return optimizers.create_optimizer(self.train)

    def loss(self) -> keras.losses.Loss:
        """Select the loss."""
        return losses.create_loss(self.train, self.task)

    def compile(self, model: keras.Model) -> keras.Model:
        """Compile the described model with optimizer, loss and metrics.

        A user-defined model that comes compiled keeps its loss and metrics; see
        `architectures/precompiled.py`.

        Raises:
            RequestError: settings of [train] exclude how such a model was compiled.
        """
        if precompiled.is_left_alone(model, self.train, self.task):
            return model
        if model.compiled:
            return precompiled.replace_optimizer(model, self.optimizer())
        model.compile(
            optimizer=self.optimizer(),
            loss=self.loss(),
            metrics=create_metrics(self.task, self.one_hot),
        )
        return model

    def add_target_offset(
        self, model: keras.Model, shape: DataShape, offset: Array | None
    ) -> keras.Model:
        """Return a compiled model that adds the offset which its targets were trained without.

        Args:
            model: trained on centred targets.
            shape: shape of its data.
            offset: what was subtracted from the targets, float64 (outputs,); None for nothing.
        """
        if offset is None:
            return model
        import keras  # not at the top: settings are checked without a backend

        inputs = keras.Input(shape.input_shape)
        # In 64 bits: the sum of the offset and a prediction needs more digits than 32 bits have.
        # JAX computes in 32 bits all the same.
        add_offset = keras.layers.Rescaling(
            1.0, offset=offset, dtype="float64", name="target_offset"
        )
        return self.compile(keras.Model(inputs, add_offset(model(inputs)), name=model.name))

    def compile_epoch(self, model: keras.Model, dataset: DeviceDataset) -> TrainEpoch:
        """Compile an epoch of a compiled model; `fit` does it if it was not done."""
        return dataset.compile_epoch(model, make_input_config(self.train, self.one_hot))

    def fit(
        self,
        model: keras.Model,
        dataset: DeviceDataset,
        seed: int,
        train_epoch: TrainEpoch | None = None,
    ) -> Fit:
        """Fit: return an iterator over the metrics of each epoch.

        In classification these are loss, accuracy, val_loss and val_accuracy; in regression loss,
        mae, val_loss and val_mae. With a schedule, learning_rate is that of the last step.

        Args:
            model: compiled.
            dataset: training and validation data.
            seed: seed of the trial; batch order and augmentation are derived from it.
            train_epoch: result of `compile_epoch` for this model and data, if it was called before.
        """
        if train_epoch is None:
            train_epoch = self.compile_epoch(model, dataset)
        return Fit(self.train, model, dataset.shape, seed, train_epoch)


def test(model: keras.Model, x: Array, y: Array, one_hot: bool = False) -> Metrics:  # noqa: PT028 - not a test of pytest
    """Test: measure a compiled model on new data.

    Args:
        model: compiled; also one that was saved and loaded.
        x: scaled inputs, float32 (n, *input_shape).
        y: labels, int32 (n,); in regression float32 (n, outputs).
        one_hot: whether its loss takes labels as rows; see `Recipe.one_hot`.

    Returns:
        The loss, and accuracy or, in regression, mae.
    """
    # A model of a user-defined class knows the shape of its outputs only after a call.
    targets = as_one_hot(y, model(x[:1]).shape[-1]) if one_hot else y
    measured = model.evaluate(x, targets, batch_size=VALIDATION_BATCH, verbose=0, return_dict=True)
    return {name: float(value) for name, value in measured.items()}
