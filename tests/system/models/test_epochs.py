"""A compiled epoch computes the same numbers as Keras' `fit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.architectures.registry import FAMILIES, Family
from assay.models.backends import Backend, current_backend
from assay.models.backends.keras_fit import KerasFitBackend
from assay.models.data import Scale, TrainingData, load_training_data
from assay.models.precision import PRECISIONS, use_precision
from assay.models.recipe import Recipe
from assay.models.settings import Settings
from assay.models.training.config import TrainSettings
from assay.models.training.early_stopping import RestoredEpoch
from assay.models.training.epoch import EpochInputs, InputConfig
from assay.models.training.fit import batch_order

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("linear", {}, {"optimizer": "sgd", "batch_size": 32, "learning_rate": 0.1}),
    ("linear", {}, {"optimizer": "rmsprop", "batch_size": 50}),
    (
        "mlp",
        {"hidden_units": 16, "dropout": 0.3, "l2": 0.01},
        {"optimizer": "adam", "batch_size": 32},
    ),
    (
        "mlp",
        {"hidden_layers": 2, "activation": "tanh"},
        {"optimizer": "momentum", "batch_size": 149},
    ),
    ("mlp", {}, {"optimizer": "adamw", "weight_decay": 0.1, "batch_size": 500}),
    ("linear", {}, {"optimizer": "momentum", "nesterov": True, "momentum": 0.7, "clip_norm": 0.2}),
    ("linear", {}, {"optimizer": "rmsprop", "rho": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}),
    (
        "linear",
        {},
        {"optimizer": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "clip_value": 0.01},
    ),
    ("linear", {}, {"optimizer": "adamw", "beta_1": 0.5, "clip_norm": 0.1}),
    (
        "linear",
        {},
        {
            "optimizer": "momentum",
            "schedule": "cosine",
            "final_fraction": 0.1,
            "learning_rate": 0.1,
        },
    ),
    (
        "linear",
        {},
        {"schedule": "step", "step_epochs": 0.4, "step_factor": 0.5, "warmup_epochs": 0.5},
    ),
    ("linear", {}, {"optimizer": "adamw", "warmup_epochs": 1.5, "learning_rate": 0.1}),
    ("linear", {}, {"flip": True, "batch_size": 64}),
    (
        "cnn",
        {"filters": 4, "blocks": 1},
        {"flip": True, "shift": 3, "batch_size": 64, "warmup_epochs": 1},
    ),
    ("linear", {}, {"loss": "cross_entropy", "label_smoothing": 0.1}),
    ("linear", {}, {"loss": "binary_cross_entropy", "label_smoothing": 0.1}),
    ("mlp", {"hidden_units": 8}, {"loss": "binary_cross_entropy", "learning_rate": 0.01}),
    ("mlp", {"hidden_units": 8}, {"loss": "hinge", "learning_rate": 0.01}),
    ("mlp", {"hidden_units": 8}, {"loss": "squared_error", "learning_rate": 0.01}),
    ("mlp", {"hidden_units": 8}, {"loss": "absolute_error", "learning_rate": 0.01}),
    ("cnn", {"filters": 4, "blocks": 2, "dropout": 0.2}, {"optimizer": "adam", "batch_size": 64}),
    ("linear", {"l1": 0.01, "l2": 0.01}, {"optimizer": "adam", "batch_size": 64}),
    ("mlp", {"hidden_units": [16, 8], "batch_norm": True}, {"optimizer": "adam", "batch_size": 64}),
    (
        "mlp",
        {"hidden_units": 16, "activation": "maxout", "l1": 0.001},
        {"optimizer": "momentum", "batch_size": 32},
    ),
    (
        "cnn",
        {"filters": 2, "blocks": 1, "batch_norm": True, "activation": "maxout"},
        {"optimizer": "sgd"},
    ),
    (
        "resnet",
        {"filters": 4, "dropout": 0.1},
        {"optimizer": "momentum", "learning_rate": 0.01, "batch_size": 64},
    ),
]


@dataclass(frozen=True)
class Trained:
    metrics: list[dict[str, float]]
    weights: list[np.ndarray]
    restored: RestoredEpoch | None


def fit(recipe: Recipe, data: TrainingData, backend: Backend, xla: bool = False) -> Trained:
    keras.utils.set_random_seed(7)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = xla  # by default, plain fit would draw other dropout masks
    fitting = recipe.fit(model, backend.load_dataset(data), seed=7)
    return Trained(list(fitting), model.get_weights(), fitting.restored)


def assert_alike(recipe: Recipe, data: TrainingData, xla: bool = False) -> Trained:
    fast, plain = (
        fit(recipe, data, backend, xla) for backend in (current_backend(), KerasFitBackend())
    )
    # Adam's kernel computes 1 - beta_2 from a float32 beta_2, with a relative error of 1.3e-5;
    # Keras uses a double. The last digit of a float32 may change one of the three digits of a
    # bfloat16, and with it the direction of Adam's step.
    metrics_off, weights_off = (
        (3e-5, 1e-5) if keras.config.dtype_policy().name == "float32" else (6e-3, 1e-2)
    )
    assert len(fast.metrics) == len(plain.metrics)
    for ours, keras_own in zip(fast.metrics, plain.metrics, strict=True):
        assert ours == pytest.approx(keras_own, rel=metrics_off, abs=1e-6)
    for ours_array, keras_array in zip(fast.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours_array, keras_array, rtol=1e-4, atol=weights_off)
    assert (fast.restored and fast.restored.epoch) == (plain.restored and plain.restored.epoch)
    return fast


@pytest.mark.parametrize(("family", "settings", "train"), CASES)
def test_the_same_numbers_as_plain_fit(
    family: str, settings: dict[str, Any], train: dict[str, Any], data: TrainingData
) -> None:
    assert_alike(
        Recipe(
            FAMILIES[family],
            FAMILIES[family].settings(**settings),
            TrainSettings(epochs=2, **train),
        ),
        data,
    )


HARD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "mlp",
        {"hidden_units": 16, "dropout": 0.3, "l2": 0.01},
        {"optimizer": "adam", "batch_size": 32},
    ),
    (
        "mlp",
        {"activation": "maxout", "batch_norm": True},
        {"optimizer": "rmsprop", "clip_norm": 0.5},
    ),
    ("cnn", {"filters": 4, "blocks": 1}, {"flip": True, "schedule": "cosine", "early_stopping": 1}),
    (
        "resnet",
        {"filters": 4},
        {"optimizer": "adamw", "loss": "hinge", "warmup_epochs": 1, "batch_size": 64},
    ),
]
"""Cases that each depend on a part of Keras that a precision or XLA may change."""


@pytest.fixture
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    use_precision(request.param)
    yield request.param
    use_precision("float32")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"], indirect=True)
@pytest.mark.parametrize(("family", "settings", "train"), HARD)
def test_the_same_numbers_as_plain_fit_in_a_mixed_precision(
    precision: str, family: str, settings: dict[str, Any], train: dict[str, Any], data: TrainingData
) -> None:
    recipe = Recipe(
        FAMILIES[family], FAMILIES[family].settings(**settings), TrainSettings(epochs=3, **train)
    )
    trained = assert_alike(recipe, data)
    assert {weight.dtype.name for weight in trained.weights} <= {"float32", "uint32"}, (
        "the weights themselves"
    )


@pytest.mark.parametrize(
    ("precision", "family", "settings", "train"),
    [
        (
            "float32",
            "mlp",
            {"hidden_units": 16, "dropout": 0.3},
            {"optimizer": "sgd", "batch_size": 64},
        ),
        (
            "mixed_float16",
            "linear",
            {},
            {"optimizer": "momentum", "schedule": "cosine", "batch_size": 100},
        ),
        *((precision, *case) for precision in PRECISIONS for case in HARD[:3]),
    ],
    indirect=["precision"],
)
def test_the_same_numbers_as_plain_fit_with_xla(
    precision: str, family: str, settings: dict[str, Any], train: dict[str, Any], data: TrainingData
) -> None:
    recipe = Recipe(
        FAMILIES[family], FAMILIES[family].settings(**settings), TrainSettings(epochs=2, **train)
    )
    assert_alike(recipe, data, xla=True)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="elsewhere it is not a choice")
def test_steps_are_compiled_with_xla_only_if_the_model_is(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf  # imported here, since these tests run without TensorFlow on JAX

    made, function = [], tf.function

    def noted(*given: Any, **options: Any) -> Any:
        made.append(bool(options.get("jit_compile")))
        return function(*given, **options)

    monkeypatch.setattr(tf, "function", noted)
    recipe = Recipe(FAMILIES["linear"], FAMILIES["linear"].settings(), TrainSettings(epochs=1))
    fit(recipe, data, current_backend())
    assert not any(made)
    fit(recipe, data, current_backend(), xla=True)
    assert made.count(True) == 2, "training and validation"


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_the_same_numbers_as_plain_fit_in_regression(loss: str, rows: Path) -> None:
    train = TrainSettings(epochs=2, loss=loss, learning_rate=0.01)
    assert_alike(
        Recipe(FAMILIES["mlp"], FAMILIES["mlp"].settings(), train, "regression"),
        load_training_data(rows, "none"),
    )


def normalised(settings: Settings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    layers = keras.layers
    hidden = [layers.Flatten(), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.2)]
    return keras.Sequential([keras.Input(input_shape), *hidden, layers.Dense(outputs)])


def test_batch_normalisation_equals_plain_fit(data: TrainingData) -> None:
    """The last, partial batch updates the moving means; the best epoch's means are restored."""
    family = Family("normalised", "with batch normalisation", Settings, normalised)
    train = TrainSettings(
        epochs=4,
        batch_size=64,
        optimizer="momentum",
        learning_rate=0.3,
        early_stopping=1,
        flip=True,
    )
    assert assert_alike(Recipe(family, Settings(), train), data).restored is not None


def test_scaled_and_unscaled_storage_train_alike(data: TrainingData) -> None:
    as_float = replace(
        data,
        x_train=data.scale.apply(data.x_train),
        x_validation=data.scale.apply(data.x_validation),
        scale=Scale(np.float32([1.0]), np.float32([0.0])),
    )
    recipe = Recipe(FAMILIES["linear"], FAMILIES["linear"].settings(), TrainSettings(epochs=1))
    (scaled_first,) = fit(recipe, as_float, current_backend()).metrics
    (scaled_in_batches,) = fit(recipe, data, current_backend()).metrics
    assert scaled_in_batches == pytest.approx(scaled_first, rel=1e-6)


def test_validation_data_larger_than_a_batch_is_used_completely(data: TrainingData) -> None:
    many = replace(
        data,
        x_validation=np.concatenate([data.x_train] * 3),
        y_validation=np.concatenate([data.y_train] * 3),
    )
    recipe = Recipe(FAMILIES["linear"], FAMILIES["linear"].settings(), TrainSettings(epochs=1))
    (fast,) = fit(recipe, many, current_backend()).metrics
    (plain,) = fit(recipe, many, KerasFitBackend()).metrics
    assert fast == pytest.approx(plain, rel=1e-5)


def test_variables_assigned_between_epochs_are_used(data: TrainingData) -> None:
    """Compiled epochs use the current variables, such as those of another trial."""
    recipe = Recipe(FAMILIES["mlp"], FAMILIES["mlp"].settings(dropout=0.2), TrainSettings())
    dataset, config = current_backend().load_dataset(data), InputConfig(batch_size=32)
    inputs = [
        EpochInputs(32, batch_order(7, epoch, 150), np.empty(0, np.float32)) for epoch in range(2)
    ]

    def begin(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))

    used, fresh = begin(1), begin(2)
    train_used, train_fresh = (
        dataset.compile_epoch(used, config),
        dataset.compile_epoch(fresh, config),
    )
    train_used(inputs[0])
    for old, new in zip(variables(used), variables(fresh), strict=True):
        old.assign(np.array(new))
    assert train_used(inputs[1]) == train_fresh(inputs[1])
    for one, other in zip(variables(used), variables(fresh), strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


def variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
