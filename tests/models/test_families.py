"""What each family of its own must do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.activations import TRAINABLE_ACTIVATIONS
from models.errors import RequestError
from models.families import FAMILIES
from models.initializers import INITIALIZERS


def describe(family: str, input_shape: tuple[int, ...], classes: int, **settings: Any) -> keras.Model:
    return FAMILIES[family].describe(FAMILIES[family].settings(**settings), input_shape, classes)


@pytest.mark.parametrize(
    ("family", "input_shape", "classes", "settings", "parameters"),
    [
        ("linear", (28, 28, 1), 10, {}, 784 * 10 + 10),
        ("mlp", (3,), 2, {"hidden_units": 4}, (3 * 4 + 4) + (4 * 2 + 2)),
        ("mlp", (28, 28, 1), 10, {"hidden_units": 100}, 79_510),
        ("mlp", (3,), 2, {"hidden_units": 4, "hidden_layers": 3}, 16 + 20 + 20 + 10),
        ("mlp", (3,), 2, {"hidden_units": 4, "dropout": 0.5, "l2": 0.1}, 26),
        ("cnn", (32, 32, 3), 10, {}, 204_570),
        ("cnn", (32, 32, 3), 10, {"filters": 32}, 550_570),
        ("cnn", (5, 4, 1), 2, {"blocks": 1, "filters": 2, "dense_units": 3}, 20 + 38 + (2 * 2 * 2 * 3 + 3) + 8),
    ],
)
def test_parameters_are_those_counted_by_hand(
    family: str, input_shape: tuple[int, ...], classes: int, settings: dict[str, Any], parameters: int
) -> None:
    assert describe(family, input_shape, classes, **settings).count_params() == parameters


def test_a_perceptron_computes_what_its_formula_says() -> None:
    model = describe("mlp", (2, 2, 1), 3, hidden_units=5, activation="tanh")
    weights_1, biases_1, weights_2, biases_2 = model.get_weights()
    x = np.random.default_rng(0).normal(size=(7, 2, 2, 1)).astype(np.float32)
    expected = np.tanh(x.reshape(7, 4) @ weights_1 + biases_1) @ weights_2 + biases_2
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-6)


def test_l2_adds_the_squared_weights_of_every_layer_but_no_bias() -> None:
    model = describe("mlp", (4,), 3, hidden_units=5, l2=0.5)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weights.shape) for weights in model.get_weights()])
    kernels = [weights for weights in model.get_weights() if weights.ndim == 2]
    assert float(sum(model.losses)) == pytest.approx(0.5 * sum(float((kernel**2).sum()) for kernel in kernels))


def test_dropout_acts_in_training_alone() -> None:
    model = describe("mlp", (4,), 3, hidden_units=50, dropout=0.5)
    x = np.ones((1, 4), np.float32)
    assert np.array_equal(model(x, training=False), model(x, training=False))
    assert not np.array_equal(model(x, training=True), model(x, training=True))


@pytest.mark.parametrize("activation", TRAINABLE_ACTIVATIONS)
def test_every_trainable_activation_builds(activation: str) -> None:
    describe("cnn", (4, 4, 1), 2, blocks=1, activation=activation)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_every_initializer_builds(initializer: str) -> None:
    describe("mlp", (4,), 2, initializer=initializer)


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_heaviside_is_refused_with_the_reason(family: str) -> None:
    with pytest.raises(RequestError, match=r"\[model\] activation: .*derivative.*'heaviside' is zero.*use one of"):
        FAMILIES[family].settings.read({"activation": "heaviside"}, "[model]")


@pytest.mark.parametrize(
    ("family", "table"),
    [
        ("mlp", {"hidden_units": 0}),
        ("mlp", {"hidden_units": 1.5}),
        ("mlp", {"hidden_units": "32"}),
        ("mlp", {"hidden_layers": 0}),
        ("mlp", {"dropout": 1.0}),
        ("mlp", {"dropout": -0.1}),
        ("mlp", {"l2": -1e-4}),
        ("mlp", {"l2": float("inf")}),
        ("mlp", {"activation": "rellu"}),
        ("linear", {"initializer": "glorot"}),
        ("cnn", {"blocks": 0}),
        ("cnn", {"filters": 0}),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_shown(family: str, table: dict[str, Any]) -> None:
    ((name, value),) = table.items()
    with pytest.raises(RequestError) as caught:
        FAMILIES[family].settings.read(table, "[model]")
    assert str(caught.value).startswith(f"[model] {name}: ")
    assert repr(value) in str(caught.value)


def test_an_image_too_small_to_be_pooled_so_often_is_refused() -> None:
    with pytest.raises(RequestError, match=r"blocks = 4 needs at least 16 pixels a side: received 8 x 30.*at most 3"):
        describe("cnn", (8, 30, 1), 2, blocks=4)


def test_a_convolution_of_rows_is_refused() -> None:
    with pytest.raises(RequestError, match=r"received inputs of shape \(2,\)"):
        describe("cnn", (2,), 2)
