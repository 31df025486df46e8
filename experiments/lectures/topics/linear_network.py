"""A network of linear units is one affine map, and learns no more than softmax regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.experiments.lectures.bench import Bench, TrainedConfiguration, compare
from assay.experiments.lectures.drawing import draw_rows
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.models.analysis.outputs import compute_outputs, weight_shapes

_SEEDS = 5
_DEPTHS = (1, 2, 3)
_INPUTS, _OUTPUTS, _UNITS = 20, 10, 30
"""Of the networks that are collapsed."""

_NETWORKS = """
title = "Networks of linear units on MNIST"
source = "Fraida Fund, 'Networks of linear units'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "mlp"
hidden_units = 100

[train]
epochs = {epochs}
learning_rate = 1e-3
batch_size = 100

[space]
activation = ["identity", "relu"]
hidden_layers = [1, 2]

[[baseline]]
activation = "identity"
hidden_layers = 1

[[baseline]]
activation = "identity"
hidden_layers = 2

[[baseline]]
activation = "relu"
hidden_layers = 1
"""
_REGRESSION = """
title = "Softmax regression beside networks of linear units"
source = "Fraida Fund, 'Networks of linear units'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "linear"

[train]
epochs = {epochs}
batch_size = 100

[space]
learning_rate = [1e-3]

[[baseline]]
learning_rate = 1e-3
"""


def measure(bench: Bench) -> Measured:
    """Collapse networks into one map, and train some beside softmax regression."""
    sizes = {
        "images": bench.pick(toy=500, short=10_000, full=50_000),
        "epochs": bench.pick(toy=2, short=20, full=30),
    }
    trained = bench.train("linear-network", _NETWORKS.format(**sizes), _SEEDS)
    regression = bench.train("linear-network-regression", _REGRESSION.format(**sizes), _SEEDS)
    shallow = trained.find(activation="identity", hidden_layers=1)
    deep = trained.find(activation="identity", hidden_layers=2)
    relu = trained.find(activation="relu", hidden_layers=1)
    softmax = regression.find(learning_rate=1e-3)
    compared = compare({"softmax": softmax, "one": shallow, "two": deep, "relu": relu})
    shown = {
        "softmax regression": softmax,
        "1 layer of linear units": shallow,
        "2 layers of linear units": deep,
        "1 layer of ReLU units": relu,
    }
    return Measured(
        numbers={
            **{
                f"largest difference of a network of {depth} linear layers from its affine map": (
                    Number(_collapse_error(depth))
                )
                for depth in _DEPTHS
            },
            "1 layer of linear units minus softmax regression": compared["one", "softmax"],
            "2 layers of linear units minus softmax regression": compared["two", "softmax"],
            "1 layer of ReLU units minus softmax regression": compared["relu", "softmax"],
            **{f"test accuracy, {name}": one.test for name, one in shown.items()},
        },
        pictures=[_build_picture(shown)],
        studies=[trained.name, regression.name],
    )


def _collapse_error(depth: int) -> float:
    """Return the largest difference between a network of linear units and its one affine map.

    Of 1,000 standard normal inputs, relative to the largest output, with weights and biases that
    are not zero. The map is W = W_1 W_2 ... and b = (... (b_1 W_2 + b_2) W_3 ...).
    """
    settings = {"hidden_units": _UNITS, "hidden_layers": depth, "activation": "identity"}
    random = np.random.default_rng(depth)
    weights = [
        random.normal(0, 0.3, shape).astype(np.float32)
        for shape in weight_shapes("mlp", settings, (_INPUTS,), _OUTPUTS)
    ]
    matrix, bias = _multiply_out(weights)
    x = random.standard_normal((1_000, _INPUTS)).astype(np.float32)
    outputs = compute_outputs("mlp", settings, weights, x).astype(np.float64)
    error = np.abs(outputs - (x.astype(np.float64) @ matrix + bias)).max()
    return float(error / np.abs(outputs).max())


def _multiply_out(
    weights: Sequence[NDArray[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and bias of the affine map of dense layers without an activation."""
    layers = [np.asarray(weight, np.float64) for weight in weights]
    matrix, bias = layers[0], layers[1]
    for kernel, own_bias in zip(layers[2::2], layers[3::2], strict=True):
        matrix, bias = matrix @ kernel, bias @ kernel + own_bias
    return matrix, bias


def _build_picture(shown: dict[str, TrainedConfiguration]) -> Picture:
    numbers = {name: one.test for name, one in shown.items()}
    return draw_rows(
        "linear-network",
        numbers,
        "accuracy on the test set",
        "Test accuracy of each network: the mean over the seeds and its 95 % interval over new "
        "seeds. Linear units add parameters to softmax regression, and nothing that they could "
        "compute; ReLU units do.",
    )


EXPERIMENT = LectureExperiment(
    name="linear-network",
    title="Networks of linear units",
    source=(
        "Fraida Fund, 'Networks of linear units'; Columbia, Optimization II, 'Power of non-linear "
        "activations'"
    ),
    claim="Hidden layers of linear units do nothing: together they are one affine map",
    rules=[
        Rule(
            claim="a network of linear units equals one affine map, bias included",
            place="Columbia, 'Power of non-linear activations'",
            conditions=[
                Condition(
                    f"largest difference of a network of {depth} linear layers from its affine map",
                    at_most=1e-5,
                )
                for depth in _DEPTHS
            ],
            reason="a few roundings of float32, whose precision is 1.2e-7, per sum of 30 terms",
        ),
        Rule(
            claim="trained, linear units do no better than softmax regression",
            place="Fund, 'Networks of linear units'",
            conditions=[
                Condition(f"{name} of linear units minus softmax regression", at_most=0.01)
                for name in ("1 layer", "2 layers")
            ],
            reason="a point: more than training for another epoch changes",
        ),
        Rule(
            claim="units that are not linear do better with as many weights",
            place="Columbia, 'Power of non-linear activations'",
            conditions=[Condition("1 layer of ReLU units minus softmax regression", at_least=0.01)],
            reason="the same point, to the other side",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set activation=identity, then --set activation=relu.",
        "assay run mnist-mlp --set activation=identity --set hidden_layers=4: is it any better?",
        "assay run mnist-linear: how near is its val_accuracy to that of linear units?",
    ),
)
