"""Losses compute their formulas, on any backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.architectures.registry import FAMILIES
from assay.models.backends import current_backend
from assay.models.data import TrainingData
from assay.models.recipe import Recipe
from assay.models.recipe import test as measure
from assay.models.training.config import TrainSettings
from assay.models.worker.trainer import save_model

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def log_softmax(f: np.ndarray) -> np.ndarray:
    return f - np.log(np.exp(f).sum(axis=1, keepdims=True))


def logistic(f: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-f))


# The loss of each image, from targets t (1 for the image's class, 0 for others) and logits f, both
# of shape (n, classes).
FORMULAS: list[tuple[dict[str, Any], Formula]] = [
    ({"loss": "cross_entropy"}, lambda t, f: -(t * log_softmax(f)).sum(axis=1)),
    (
        {"loss": "cross_entropy", "label_smoothing": 0.1},
        lambda t, f: -((0.9 * t + 0.1 / t.shape[1]) * log_softmax(f)).sum(axis=1),
    ),
    (
        {"loss": "binary_cross_entropy"},
        lambda t, f: -(t * np.log(logistic(f)) + (1 - t) * np.log(1 - logistic(f))).mean(axis=1),
    ),
    (
        {"loss": "binary_cross_entropy", "label_smoothing": 0.2},
        lambda t, f: (
            -(
                (0.8 * t + 0.1) * np.log(logistic(f)) + (0.9 - 0.8 * t) * np.log(1 - logistic(f))
            ).mean(axis=1)
        ),
    ),
    ({"loss": "hinge"}, lambda t, f: np.maximum(0, 1 - (2 * t - 1) * f).mean(axis=1)),
    ({"loss": "squared_error"}, lambda t, f: ((t - f) ** 2).mean(axis=1)),
    ({"loss": "absolute_error"}, lambda t, f: np.abs(t - f).mean(axis=1)),
]


def trained(
    train: dict[str, Any], data: TrainingData
) -> tuple[Recipe, keras.Model, dict[str, float]]:
    recipe = Recipe(
        FAMILIES["linear"], FAMILIES["linear"].settings(), TrainSettings(epochs=1, **train)
    )
    keras.utils.set_random_seed(5)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    (metrics,) = recipe.fit(model, current_backend().load_dataset(data), seed=5)
    return recipe, model, metrics


@pytest.mark.parametrize(("train", "formula"), FORMULAS)
def test_loss_and_accuracy_compute_their_formulas(
    train: dict[str, Any], formula: Formula, data: TrainingData
) -> None:
    recipe, model, metrics = trained(train, data)
    x, y = data.scale.apply(data.x_validation), np.asarray(data.y_validation)
    logits = np.asarray(model(x), np.float64)
    expected = {
        "loss": formula(np.eye(3)[y], logits).mean(),
        "accuracy": (logits.argmax(axis=1) == y).mean(),
    }
    assert {name: metrics[f"val_{name}"] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert measure(model, x, y, recipe.one_hot) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("train", [train for train, _ in FORMULAS])
def test_a_saved_model_loads_without_assay(
    train: dict[str, Any], data: TrainingData, tmp_path: Path
) -> None:
    recipe, model, metrics = trained(train, data)
    save_model(model, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    tested = measure(
        loaded, data.scale.apply(data.x_validation), np.asarray(data.y_validation), recipe.one_hot
    )
    assert tested["loss"] == pytest.approx(metrics["val_loss"], rel=1e-4)


def test_a_model_of_a_user_defined_class_is_measured(data: TrainingData) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3, kernel_initializer="zeros")

        def call(self, x: Any) -> Any:
            return self.dense(keras.layers.Flatten()(x))

    model = Own()
    model.compile(loss=keras.losses.Hinge())
    assert measure(
        model, data.scale.apply(data.x_validation), data.y_validation, True
    ) == pytest.approx({"loss": 1.0})
