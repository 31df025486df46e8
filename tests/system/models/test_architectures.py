"""Each built-in model family."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.architectures.activations import TRAINABLE_ACTIVATIONS
from assay.models.architectures.fields import INITIALIZERS, MOST_LAYERS
from assay.models.architectures.registry import FAMILIES
from assay.models.architectures.resnet import MOST_BLOCKS
from assay.models.errors import RequestError


def describe(
    family: str, input_shape: tuple[int, ...], outputs: int, **settings: Any
) -> keras.Model:
    return FAMILIES[family].describe(FAMILIES[family].settings(**settings), input_shape, outputs)


def resnet_parameters(
    channels: int, filters: int, outputs: int, blocks: int = 1, pieces: int = 1
) -> int:
    """Count by hand: 9 * in * out weights per convolution, 4 values per normalised channel."""
    convolutions = [(channels, filters)] + 2 * blocks * [(filters, filters)]
    for stage in (2 * filters, 4 * filters):
        convolutions += [(stage // 2, stage)] + (2 * blocks - 1) * [(stage, stage)]
    counted = sum(9 * seen * made + 4 * made for seen, made in convolutions)
    return pieces * counted + (4 * filters + 1) * outputs


@pytest.mark.parametrize(
    ("family", "input_shape", "outputs", "settings", "parameters"),
    [
        ("linear", (28, 28, 1), 10, {}, 784 * 10 + 10),
        ("mlp", (3,), 2, {"hidden_units": 4}, (3 * 4 + 4) + (4 * 2 + 2)),
        ("mlp", (28, 28, 1), 10, {"hidden_units": 100}, 79_510),
        ("mlp", (3,), 2, {"hidden_units": 4, "hidden_layers": 3}, 16 + 20 + 20 + 10),
        ("mlp", (3,), 2, {"hidden_units": 4, "dropout": 0.5, "l2": 0.1}, 26),
        ("cnn", (32, 32, 3), 10, {}, 204_570),
        ("cnn", (32, 32, 3), 10, {"filters": 32}, 550_570),
        (
            "cnn",
            (5, 4, 1),
            2,
            {"blocks": 1, "filters": 2, "dense_units": 3},
            20 + 38 + (2 * 2 * 2 * 3 + 3) + 8,
        ),
        ("mlp", (3,), 2, {"hidden_units": [4, 5]}, 16 + 25 + 12),
        (
            "mlp",
            (3,),
            2,
            {"hidden_units": 4, "hidden_layers": 2, "hidden_units_2": 5},
            16 + 25 + 12,
        ),
        (
            "mlp",
            (3,),
            2,
            {"hidden_units": 4, "hidden_layers": 3, "hidden_units_3": 5},
            16 + 20 + 25 + 12,
        ),
        ("mlp", (3,), 2, {"hidden_units": 4, "activation": "maxout"}, 2 * 16 + 10),
        # no bias; each unit has scale, offset, moving mean and variance
        ("mlp", (3,), 2, {"hidden_units": 4, "batch_norm": True}, 3 * 4 + 4 * 4 + 10),
        (
            "mlp",
            (3,),
            2,
            {"hidden_units": 4, "batch_norm": True, "activation": "maxout"},
            2 * (3 * 4 + 4 * 4) + 10,
        ),
        (
            "cnn",
            (5, 4, 1),
            2,
            {"blocks": 1, "filters": 2, "dense_units": 3, "batch_norm": True},
            (18 + 8) + (36 + 8) + (24 + 12) + 8,
        ),
        (
            "cnn",
            (5, 4, 1),
            2,
            {"blocks": 1, "filters": 2, "dense_units": 3, "activation": "maxout"},
            2 * (20 + 38 + 27) + 8,
        ),
        ("resnet", (32, 32, 3), 10, {}, 75_770),
        # the 0.27 M parameters of He et al. for 20 layers, plus the moving means and variances,
        # which are not trained
        ("resnet", (32, 32, 3), 10, {"blocks": 3}, 269_722 + 2 * (16 + 6 * (16 + 32 + 64))),
        ("resnet", (28, 28, 1), 10, {"filters": 4}, resnet_parameters(1, 4, 10)),
        (
            "resnet",
            (8, 8, 1),
            10,
            {"filters": 3, "blocks": 2},
            resnet_parameters(1, 3, 10, blocks=2),
        ),
        (
            "resnet",
            (4, 5, 2),
            3,
            {"filters": 2, "activation": "maxout"},
            resnet_parameters(2, 2, 3, pieces=2),
        ),
    ],
)
def test_parameters_equal_a_count_by_hand(
    family: str,
    input_shape: tuple[int, ...],
    outputs: int,
    settings: dict[str, Any],
    parameters: int,
) -> None:
    assert describe(family, input_shape, outputs, **settings).count_params() == parameters


@pytest.mark.parametrize(
    ("family", "input_shape", "outputs", "settings", "work"),
    [
        ("linear", (28, 28, 1), 10, {}, 7_840),
        ("mlp", (28, 28, 1), 10, {"hidden_units": 100}, 78_400 + 1_000),
        ("mlp", (3,), 2, {"hidden_units": [4, 5]}, 12 + 20 + 10),
        (
            "mlp",
            (3,),
            2,
            {"hidden_units": 4, "hidden_layers": 2, "activation": "maxout"},
            2 * (12 + 16) + 8,
        ),
        # 5 x 4 pixels see 3 x 3 of 1 channel, then of 2; the remaining 2 x 2 feed 3 units
        (
            "cnn",
            (5, 4, 1),
            2,
            {"blocks": 1, "filters": 2, "dense_units": 3},
            20 * (18 + 36) + 24 + 6,
        ),
        ("cnn", (32, 32, 3), 10, {"kernel_size": 5, "activation": "maxout"}, None),
        # 64 pixels, then 16, then 4; the first convolution of a stage sees half its channels
        (
            "resnet",
            (8, 8, 1),
            10,
            {"filters": 2},
            64 * 9 * (2 + 8) + 16 * 9 * (8 + 16) + 4 * 9 * (32 + 64) + 80,
        ),
        ("resnet", (9, 7, 3), 10, {"filters": 4, "blocks": 3, "activation": "maxout"}, None),
    ],
)
def test_macs_equal_a_count_by_layer(
    family: str,
    input_shape: tuple[int, ...],
    outputs: int,
    settings: dict[str, Any],
    work: int | None,
) -> None:
    layers = describe(family, input_shape, outputs, **settings).layers
    done = [
        layer.kernel.shape.num_elements() * math.prod(layer.output.shape[1:-1])
        for layer in layers
        if _has(layer)
    ]
    counted = FAMILIES[family].macs
    assert counted is not None
    assert counted(FAMILIES[family].settings(**settings), input_shape, outputs) == sum(done)
    assert work in (None, sum(done))


def _has(layer: keras.layers.Layer) -> bool:
    return hasattr(layer, "kernel")


def test_a_perceptron_computes_its_formula() -> None:
    model = describe("mlp", (2, 2, 1), 3, hidden_units=5, activation="tanh")
    weights_1, biases_1, weights_2, biases_2 = model.get_weights()
    x = np.random.default_rng(0).normal(size=(7, 2, 2, 1)).astype(np.float32)
    expected = np.tanh(x.reshape(7, 4) @ weights_1 + biases_1) @ weights_2 + biases_2
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-6)


def test_maxout_is_the_larger_of_two_weighted_sums() -> None:
    model = describe("mlp", (4,), 3, hidden_units=5, activation="maxout")
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weights.shape) for weights in model.get_weights()])
    weights_1, biases_1, weights_2, biases_2, weights_3, biases_3 = model.get_weights()
    x = random.normal(size=(7, 4)).astype(np.float32)
    expected = np.maximum(x @ weights_1 + biases_1, x @ weights_2 + biases_2) @ weights_3 + biases_3
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_is_between_weighted_sum_and_activation() -> None:
    model = describe("mlp", (4,), 3, hidden_units=5, activation="tanh", batch_norm=True)
    kernel, *_, logits, biases = model.get_weights()
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    sums = x @ kernel
    normalised = (sums - sums.mean(axis=0)) / np.sqrt(sums.var(axis=0) + 1e-3)  # epsilon of Keras
    np.testing.assert_allclose(
        np.asarray(model(x, training=True)),
        np.tanh(normalised) @ logits + biases,
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_residual_block_of_zeros_is_the_identity() -> None:
    """Shortcuts pass on every other pixel of relu(x); the later convolutions are 0."""
    model = describe("resnet", (8, 8, 1), 12, filters=3)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer in convolutions[1:]:
        layer.set_weights([np.zeros_like(kernel) for kernel in layer.get_weights()])
    model.get_layer("logits").set_weights([np.eye(12, dtype=np.float32), np.zeros(12, np.float32)])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    stem = np.asarray(keras.ops.relu(convolutions[0](x))) / np.sqrt(1 + 1e-3)
    expected = np.zeros((2, 12), np.float32)
    expected[:, 4:7] = stem[:, ::4, ::4].mean(
        axis=(1, 2)
    )  # 3 channels are padded to 6, then to 12: 0 1 1 1 0 0 -> + 3
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.5), (0.25, 0.0), (0.25, 0.5)])
def test_regularizers_include_all_weights_but_no_bias(family: str, l1: float, l2: float) -> None:
    model = describe(family, (8, 8, 1), 3, l1=l1, l2=l2)
    random = np.random.default_rng(0)
    model.set_weights(
        [random.uniform(-1, 1, size=weights.shape) for weights in model.get_weights()]
    )
    kernels = [weights for weights in model.get_weights() if weights.ndim > 1]
    expected = sum(float(l1 * abs(kernel).sum() + l2 * (kernel**2).sum()) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-4)


def test_dropout_acts_only_in_training() -> None:
    model = describe("mlp", (4,), 3, hidden_units=50, dropout=0.5)
    x = np.ones((1, 4), np.float32)
    assert np.array_equal(model(x, training=False), model(x, training=False))
    assert not np.array_equal(model(x, training=True), model(x, training=True))


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("activation", TRAINABLE_ACTIVATIONS)
def test_every_trainable_activation_builds(family: str, activation: str) -> None:
    describe(family, (8, 8, 1), 2, activation=activation)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_every_initializer_builds(initializer: str) -> None:
    describe("mlp", (4,), 2, initializer=initializer)


def test_an_image_too_small_for_the_pooling_is_refused() -> None:
    with pytest.raises(
        RequestError,
        match=r"blocks = 4 needs at least 16 pixels a side: received 8 x 30.*at most 3",
    ):
        describe("cnn", (8, 30, 1), 2, blocks=4)


@pytest.mark.parametrize("family", ["cnn", "resnet"])
def test_a_convolution_of_rows_is_refused(family: str) -> None:
    with pytest.raises(RequestError, match=r"received inputs of shape \(2,\)"):
        describe(family, (2,), 2)


def test_an_image_too_small_for_a_residual_network_is_refused() -> None:
    with pytest.raises(
        RequestError, match="at least 4 pixels a side: received 3 x 8; use the family 'mlp'"
    ):
        describe("resnet", (3, 8, 1), 2)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        (
            "mlp",
            {
                "hidden_layers": MOST_LAYERS,
                "hidden_units": 2,
                "dropout": 0.1,
                "batch_norm": True,
                "activation": "leaky_relu",
            },
        ),
        ("resnet", {"blocks": MOST_BLOCKS, "filters": 1}),
    ],
)
def test_the_deepest_networks_can_be_saved_and_loaded(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    def call_deeply(frames: int) -> keras.Model:  # as a notebook does
        if frames > 0:
            return call_deeply(frames - 1)
        describe(family, (8, 8, 1), 3, **settings).save(tmp_path / "model.keras")
        return keras.saving.load_model(tmp_path / "model.keras")

    assert call_deeply(60).output_shape == (None, 3)
