"""The recipe: describe the architecture, select the optimizer, select the loss, compile, fit, test.

In use::

    data = backends.current().hold(load(folder, "unit"))
    recipe = Recipe(FAMILIES["mlp"], MlpSettings(hidden_units=100), TrainSettings(epochs=3))
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.classes))
    for metrics in recipe.fit(model, data, seed=0):
        print(metrics)
    print(test(model, x_test, y_test))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models import losses, optimizers
from models.backends.interface import VALIDATION_BATCH, Metrics, Resident
from models.data import Array
from models.families import Family
from models.order import batch_order
from models.settings import Settings
from models.train import TrainSettings

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Recipe:
    """A network and its training, before there are any weights."""

    family: Family[Any]
    model: Settings
    train: TrainSettings

    def describe(self, input_shape: tuple[int, ...], classes: int) -> keras.Model:
        """Describe the architecture: (batch, *input_shape) -> logits (batch, classes)."""
        return self.family.describe(self.model, input_shape, classes)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Select the optimizer: how a gradient becomes a step."""
        train = self.train
        return optimizers.optimizer(train.optimizer, train.learning_rate, train.momentum, train.weight_decay)

    def loss(self) -> keras.losses.Loss:
        """Select the loss: what training brings down."""
        return losses.loss(self.train.loss)

    def compile(self, model: keras.Model) -> keras.Model:
        """Compile: give the described network its optimizer, its loss and what is measured beside it."""
        model.compile(optimizer=self.optimizer(), loss=self.loss(), metrics=losses.metrics())
        return model

    def fit(self, model: keras.Model, data: Resident, seed: int) -> Iterator[Metrics]:
        """Fit: train epoch by epoch, yielding each one's loss, accuracy, val_loss and val_accuracy.

        Args:
            model: compiled.
            data: where the backend reads it.
            seed: the trial's, from which the order of its batches follows.
        """
        train_epoch = data.epochs(model, self.train.batch_size)
        for epoch in range(self.train.epochs):
            yield train_epoch(batch_order(seed, epoch, data.shape.train_images))


def test(model: keras.Model, x: Array, y: Array) -> Metrics:
    """Test: measure loss and accuracy on scaled images (n, *input_shape) that training has not seen."""
    measured = model.evaluate(x, y, batch_size=VALIDATION_BATCH, verbose=0, return_dict=True)
    return {name: float(value) for name, value in measured.items()}
