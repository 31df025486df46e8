"""The recipe: describe the architecture, select the optimizer, select the loss, compile, fit, test.

In use::

    data = backends.current().hold(load(folder, "unit"))
    recipe = Recipe(FAMILIES["mlp"], MLPSettings(hidden_units=100), TrainSettings(epochs=3))
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    for metrics in recipe.fit(model, data, seed=0):
        print(metrics)
    print(test(model, x_test, y_test, recipe.one_hot))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.models.architectures import precompiled
from assay.models.architectures.registry import Family
from assay.models.backends.base import DeviceDataset
from assay.models.data import Array, as_one_hot
from assay.models.settings import Settings
from assay.models.tasks import Task
from assay.models.training import losses, optimizers
from assay.models.training.config import TrainSettings
from assay.models.training.epoch import VALIDATION_BATCH, Metrics, TrainEpoch
from assay.models.training.fit import Fit, feeding

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Recipe:
    """A network and its training, before there are any weights."""

    family: Family[Any]
    model: Settings
    train: TrainSettings
    task: Task = "classification"

    @property
    def one_hot(self) -> bool:
        """Whether the loss wants labels (n,) as rows (n, classes)."""
        return losses.wants_one_hot(self.train, self.task)

    def describe(self, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
        """Describe the architecture: (batch, *input_shape) -> (batch, outputs), a logit a class or
        plain numbers.
        """
        return self.family.describe(self.model, input_shape, outputs)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Select the optimizer: how a gradient becomes a step."""
        return optimizers.optimizer(self.train)

    def loss(self) -> keras.losses.Loss:
        """Select the loss: what training brings down."""
        return losses.loss(self.train, self.task)

    def compile(self, model: keras.Model) -> keras.Model:
        """Compile: give the described network its optimizer, its loss and what is measured beside
        it.

        A model of a user's own that comes compiled keeps its loss and metrics; see
        `architectures/precompiled.py`.

        Raises:
            RequestError: what is given does not go with the way such a model was compiled.
        """
        if precompiled.is_left_alone(model, self.train, self.task):
            return model
        if model.compiled:
            return precompiled.replace_optimizer(model, self.optimizer())
        model.compile(
            optimizer=self.optimizer(),
            loss=self.loss(),
            metrics=losses.metrics(self.train, self.task),
        )
        return model

    def epochs(self, model: keras.Model, data: DeviceDataset) -> TrainEpoch:
        """Have the backend compile what trains a compiled model for an epoch."""
        return data.epochs(model, feeding(self.train, self.one_hot))

    def fit(
        self,
        model: keras.Model,
        data: DeviceDataset,
        seed: int,
        train_epoch: TrainEpoch | None = None,
    ) -> Fit:
        """Fit: train epoch by epoch, returning what each one measured.

        In classification loss, accuracy, val_loss and val_accuracy; in regression loss, mae,
        val_loss and val_mae; with a schedule learning_rate too, that of the last step.

        Args:
            model: compiled.
            data: where the backend reads it.
            seed: the trial's, from which the order of its batches and the augmentation follow.
            train_epoch: what `epochs` returned for this model and these data, if that was before.
        """
        return Fit(self.train, model, data.shape, seed, train_epoch or self.epochs(model, data))


def test(model: keras.Model, x: Array, y: Array, one_hot: bool = False) -> Metrics:  # noqa: PT028 - it is no test of pytest's
    """Test: measure a compiled model, also one that was saved and loaded, on what training has not
    seen.

    Args:
        model: compiled.
        x: scaled, float32 (n, *input_shape).
        y: labels, int32 (n,); in regression float32 (n, outputs).
        one_hot: whether its loss wants labels as rows; `Recipe.one_hot` says so.

    Returns:
        The loss and, in classification, accuracy; in regression mae.
    """
    # A model of somebody's own class does not know the shape of what it gives until it gives it.
    targets = as_one_hot(y, model(x[:1]).shape[-1]) if one_hot else y
    measured = model.evaluate(x, targets, batch_size=VALIDATION_BATCH, verbose=0, return_dict=True)
    return {name: float(value) for name, value in measured.items()}
