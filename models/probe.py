"""Trying a recipe out: one batch of a few images, to find what is wrong with it before anything is searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models import augmentation
from models.blame import blamed
from models.data import TrainingData, as_one_hot
from models.errors import RequestError
from models.recipe import Recipe

if TYPE_CHECKING:
    import keras

_IMAGES = 4


def probe(recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """Build a recipe's model, compile it, and train and test it on a few images, as plain Keras does.

    Returns:
        {"parameters": how many numbers the model consists of, "metrics": the names that an epoch would give}.

    Raises:
        RequestError: a user's own model can't be trained so, or what [train] does to images can't be done to these.
    """
    augmentation.check_input(recipe.train, data.shape.input_shape)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    x = data.scale.apply(data.x_train[:_IMAGES])
    y = as_one_hot(data.y_train[:_IMAGES], data.shape.outputs) if recipe.one_hot else data.y_train[:_IMAGES]
    with blamed(recipe.family.own, _doing(model, recipe, y.shape)):
        # Not `train_on_batch`: it passes a third item on, which a step of the user's own need not expect.
        history = model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0, validation_data=(x, y)).history
    for name, (value, *_) in history.items():
        if np.size(value) != 1:
            raise RequestError(
                f"a metric must be one number: received {name} = {value!r:.60} of {recipe.family.name}; reduce it."
            )
    if recipe.train.early_stopping is not None and "val_loss" not in history:
        raise RequestError(
            f"[train] early_stopping: goes by val_loss: received a model of {recipe.family.name} that measures "
            f"{', '.join(history)}; let its test_step return a loss."
        )
    return {"parameters": int(model.count_params()), "metrics": list(history)}


def _doing(model: keras.Model, recipe: Recipe, shape: tuple[int, ...]) -> str:
    kind = "labels, whole numbers" if recipe.task == "classification" and len(shape) == 1 else "targets"
    wanted = f"(batch, {shape[1]})" if len(shape) > 1 else "(batch,)"
    return f"training its model, compiled with loss = {model.loss!r:.60}, on {kind} of shape {wanted}"
