"""The contract of model families, built-in or user-defined, on any backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.architectures.registry import FAMILIES, Family, get_family
from assay.models.backends import current_backend
from assay.models.data import TrainingData
from assay.models.errors import RequestError
from assay.models.recipe import Recipe
from assay.models.recipe import test as measure
from assay.models.training.config import TrainSettings
from assay.models.worker.trainer import save_model
from tests.helpers import nets


@pytest.fixture(params=[*FAMILIES, *(f"nets.py:{factory}" for factory in nets.FACTORIES)])
def family(request: pytest.FixtureRequest, own_nets: Path) -> Family[Any]:
    return get_family(request.param, [str(own_nets)])


def recipe(family: Family[Any]) -> Recipe:
    return Recipe(
        family, family.settings(), TrainSettings(epochs=1, batch_size=64, learning_rate=0.01)
    )


def compiled(family: Family[Any], data: TrainingData, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return recipe(family).compile(
        recipe(family).describe(data.shape.input_shape, data.shape.outputs)
    )


def test_gives_one_logit_per_class(family: Family[Any], data: TrainingData) -> None:
    logits = np.asarray(compiled(family, data)(np.ones((5, *data.input_shape), np.float32)))
    assert logits.shape == (5, len(data.classes))
    assert not np.allclose(logits.sum(axis=1), 1.0), "a softmax has been applied"


def test_training_changes_every_weight_and_is_measured(
    family: Family[Any], data: TrainingData
) -> None:
    model = compiled(family, data)
    before = model.get_weights()
    (metrics,) = recipe(family).fit(model, current_backend().load_dataset(data), seed=0)
    assert set(metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(type(value) is float for value in metrics.values())
    assert all(
        not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)
    )


def test_the_validation_metrics_are_those_of_a_test(
    family: Family[Any], data: TrainingData
) -> None:
    model = compiled(family, data)
    (metrics,) = recipe(family).fit(model, current_backend().load_dataset(data), seed=0)
    tested = measure(model, data.scale.apply(data.x_validation), data.y_validation)
    assert tested == pytest.approx(
        {"loss": metrics["val_loss"], "accuracy": metrics["val_accuracy"]}, rel=1e-4
    )


def test_a_saved_model_gives_the_same_logits_when_loaded(
    family: Family[Any], data: TrainingData, tmp_path: Path
) -> None:
    model = compiled(family, data)
    file = tmp_path / "kept" / "model.keras"
    file.parent.mkdir()
    save_model(model, file)
    x = data.scale.apply(data.x_validation)
    own_class = {} if family.factory is None else {type(model).__name__: type(model)}
    loaded = keras.saving.load_model(file, custom_objects=own_class)
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-6)
    assert list(file.parent.iterdir()) == [file]


def test_weights_are_determined_by_the_seed(family: Family[Any], data: TrainingData) -> None:
    first, again, other = (compiled(family, data, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_settings_survive_being_written_and_read(family: Family[Any]) -> None:
    settings = family.settings()
    assert family.settings.read(settings.model_dump(), "[model]") == settings


def test_every_setting_is_described(family: Family[Any]) -> None:
    assert all(field.description for field in family.settings.model_fields.values())


def test_an_unknown_setting_is_refused_with_the_nearest_name(
    family: Family[Any], data: TrainingData
) -> None:
    with pytest.raises(
        RequestError, match=r"\[model\] does not know 'initialiser'.*Did you mean 'initializer'"
    ):
        family.describe(
            family.settings.read({"initialiser": "zeros"}, "[model]"), data.input_shape, 3
        )
