"""Learning rate schedules in training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from assay.models.architectures.registry import FAMILIES
from assay.models.backends import current_backend
from assay.models.data import TrainingData
from assay.models.recipe import Recipe
from assay.models.training.config import TrainSettings


def fit(
    data: TrainingData, own: Any = None, **train: Any
) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    """Train with our schedule or Keras' own; return weights and metrics."""
    settings = TrainSettings(batch_size=50, optimizer="sgd", learning_rate=0.5, **train)
    recipe = Recipe(FAMILIES["linear"], FAMILIES["linear"].settings(), settings)
    keras.utils.set_random_seed(3)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    if own is not None:
        model.compile(keras.optimizers.SGD(own), recipe.loss())
    metrics = list(recipe.fit(model, current_backend().load_dataset(data), seed=3))
    return model.get_weights(), metrics


def test_an_epoch_reports_its_last_rate_if_it_is_scheduled(data: TrainingData) -> None:
    _, metrics = fit(data, epochs=3, schedule="step")
    assert [epoch["learning_rate"] for epoch in metrics] == pytest.approx([0.5, 0.05, 0.005])
    _, constant = fit(data, epochs=1)
    assert "learning_rate" not in constant[0]


def test_a_schedule_equals_that_of_keras(data: TrainingData) -> None:
    own = keras.optimizers.schedules.CosineDecay(0.5, decay_steps=2 * 3, alpha=0.1)
    expected, _ = fit(data, own, epochs=2)
    weights, _ = fit(data, epochs=2, schedule="cosine", final_fraction=0.1)
    unscheduled, _ = fit(data, epochs=2)
    np.testing.assert_allclose(weights[0], expected[0], rtol=1e-4, atol=1e-6)
    assert np.abs(unscheduled[0] - expected[0]).max() > 1e-3
