"""Activations of hidden units: functions, derivatives, and what a network learns with them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import expit

from assay.experiments.data.sources.toy_sets import HALF_SPACES, POINTS
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import (
    REPRODUCE,
    Bench,
    TrainedConfiguration,
    TrainedStudy,
    compare,
    to_number,
)
from assay.experiments.lectures.drawing import draw_curves, draw_rows
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.panels import draw_plane, draw_points, new_panels
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.lectures.two_layers import (
    UNITS,
    Array,
    Trained,
    TwoLayers,
    sigmoid,
    train_by_adam,
)
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import BLUE, ORANGE, drawing, legend_above

_NETWORKS = """
title = "One network with each activation on MNIST"
source = "OSU ECE 5307 unit 8, 'Common choices for hidden-layer activation'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "{family}"
hidden_units = 100

[train]
epochs = {epochs}
batch_size = 100

[space]
activation = {activations}
learning_rate = {rates}
"""
_CUSTOM = "assay.models.analysis.unit_networks:build_network"
_CENTRED = "sigmoid minus 1/2"
_BASELINE = """
[[baseline]]
activation = "{activation}"
learning_rate = {rate}
"""

_KEYS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "ReLU": "relu",
    "leaky ReLU": "leaky_relu",
    "ELU": "elu",
    "maxout": "maxout",
    "identity": "identity",
}
"""Activations that are trained, by what the page calls them."""

_NOT_LINEAR = ("sigmoid", "tanh", "ReLU", "leaky ReLU", "ELU", "maxout")
_STEP_UNITS = 4
_STEEPNESS, _BAND = 100.0, 0.1
"""Sigmoid units with weights 100 times as large, at points 0.1 and more from the line."""


def measure(bench: Bench) -> Measured:
    """Train one network with each activation, and step units by a loop of NumPy."""
    trained = bench.train(
        "activations", _write_experiment(bench, "mlp", [*_KEYS.values()]), _seeds(bench)
    )
    text = _write_experiment(bench, _CUSTOM, ["centred_sigmoid"])
    control = bench.train("activations-centred", text, _seeds(bench))
    best = {
        "sigmoid": _find_best(trained, "sigmoid"),
        _CENTRED: _find_best(control, "centred_sigmoid"),
    }
    best |= {name: _find_best(trained, key) for name, key in _KEYS.items()}
    compared = compare(best)
    others = [name for name in best if name != "ReLU"]
    rival = max(others, key=lambda name: best[name].test.value)
    planes = _train_planes(bench)
    return Measured(
        numbers={
            "tanh minus sigmoid": compared["tanh", "sigmoid"],
            "training loss, sigmoid minus tanh": _compare_losses(best["sigmoid"], best["tanh"]),
            "sigmoid minus 1/2, compared with sigmoid": compared[_CENTRED, "sigmoid"],
            "training loss, sigmoid compared with sigmoid minus 1/2": _compare_losses(
                best["sigmoid"], best[_CENTRED]
            ),
            "ReLU minus the best other activation": compared["ReLU", rival],
            **{f"{name} minus identity": compared[name, "identity"] for name in _NOT_LINEAR},
            "largest difference of tanh(z) and 2 sigmoid(2 z) - 1": Number(identity_error()),
            "largest error of a derivative": Number(derivative_error()),
            **_measure_planes(planes),
            **{f"test accuracy, {name}": one.test for name, one in best.items()},
        },
        pictures=[
            _build_curves(best),
            _build_rows(best),
            _build_functions(),
            _build_planes(planes),
        ],
        tables=[_build_table(best)],
        notes=[
            "Weights begin as Keras draws them (glorot_uniform, biases 0); the lecture's reason "
            "names PyTorch's initialization, which is uniform up to 1 / sqrt(inputs) too.",
            f"The best other activation beside ReLU was {rival}, chosen on the test set, which "
            "favours it.",
            REPRODUCE.format(study=control.name),
        ],
        studies=[trained.name, control.name],
    )


# Networks that are trained by Keras.


def _seeds(bench: Bench) -> int:
    return bench.pick(toy=3, short=5, full=5)


def _write_experiment(bench: Bench, family: str, activations: Sequence[str]) -> str:
    """Return the experiment that trains each activation with each learning rate."""
    rates = bench.pick(toy=[1e-2], short=[1e-3, 3e-3, 1e-2], full=[3e-4, 1e-3, 3e-3, 1e-2, 3e-2])
    head = _NETWORKS.format(
        family=family,
        images=bench.pick(toy=300, short=3_000, full=50_000),
        epochs=bench.pick(toy=2, short=5, full=10),
        activations=list(activations),
        rates=rates,
    )
    baselines = [
        _BASELINE.format(activation=name, rate=rate) for name in activations for rate in rates
    ]
    return head + "".join(baselines)


def _find_best(trained: TrainedStudy, key: str) -> TrainedConfiguration:
    """Return an activation's network with the learning rate that is best on validation."""
    found = [
        one
        for one in trained.evaluation.finalists
        if one.configuration.searched["activation"] == key and one.validation is not None
    ]
    best = max(found, key=lambda one: one.validation.mean if one.validation else 0.0)
    return trained.find(**best.configuration.searched)


def _compare_losses(larger: TrainedConfiguration, smaller: TrainedConfiguration) -> Number:
    """Return the difference of two training losses, each a mean over the epochs.

    The seeds are paired by their order, which is as good as any other: they are independent.
    """
    first, second = (one.curve("loss").mean(axis=1) for one in (larger, smaller))
    return to_number(mean_interval(first - second))


# Functions and derivatives.


def identity_error() -> float:
    """Return the largest difference between tanh(z) and 2 sigmoid(2 z) - 1 on [-20, 20]."""
    z = np.linspace(-20, 20, 100_001)
    return float(np.abs(np.tanh(z) - (2 * expit(2 * z) - 1)).max())


def derivative_error() -> float:
    """Return the largest difference between the derivatives and central differences.

    At points that are no kink: every 0.01 from -4.995 to 4.995. Steps have 1e-5.
    """
    z, h = np.arange(-499.5, 500) / 100, 1e-5
    return max(
        float(np.abs((f(z + h) - f(z - h)) / (2 * h) - unit.derivative(z)).max())
        for unit in UNITS.values()
        for f in (unit.function,)
    )


# Step and sigmoid units in the plane.


@dataclass(frozen=True)
class _Planes:
    """Networks of four hidden units that were trained on one set of points.

    Attributes:
        x: training points (examples, 2).
        y: their labels.
        new_x: points that were not trained on.
        new_y: their labels.
        trained: how they were trained, by the name of their units.
    """

    x: Array
    y: Array
    new_x: Array
    new_y: Array
    trained: Mapping[str, Trained]


def _train_planes(bench: Bench) -> _Planes:
    """Train four step units and four sigmoid units with one start and the same batches."""
    random = np.random.default_rng(0)
    x, y = POINTS["half-spaces"].draw(1_000, 0.0, random)
    new_x, new_y = POINTS["half-spaces"].draw(10_000, 0.0, random)
    start = TwoLayers.draw("sigmoid", 2, _STEP_UNITS, 5, random)
    trained = {
        unit: train_by_adam(
            TwoLayers(*start.arrays, unit),
            x.astype(np.float64),
            y.astype(np.float64),
            epochs=bench.pick(toy=100, short=1_000, full=2_000),
            random=np.random.default_rng(1),
        )
        for unit in ("step", "sigmoid")
    }
    return _Planes(x.astype(np.float64), y, new_x.astype(np.float64), new_y, trained)


def _measure_planes(planes: _Planes) -> Mapping[str, Number]:
    step, smooth = planes.trained["step"], planes.trained["sigmoid"]
    outputs = step.last.compute_hidden(planes.new_x)
    mimicked = smooth.last.compute_hidden(planes.new_x)
    accuracies = {
        unit: one.last.measure_accuracy(planes.new_x, planes.new_y)
        for unit, one in planes.trained.items()
    }
    moved = np.abs(step.last.kernel - step.networks[0].kernel).max()
    near = ((mimicked < _BAND) | (mimicked > 1 - _BAND)).mean(axis=(1, 2))
    return {
        "share of step units' outputs that are 0 or 1": Number(
            float(np.isin(outputs, (0, 1)).mean())
        ),
        "largest distance of steep sigmoid units from step units": Number(steep_distance()),
        "share of trained sigmoid units' outputs within 0.1 of 0 or 1": to_number(
            mean_interval(near)
        ),
        "largest change of a hidden weight under step units": Number(float(moved)),
        "half-spaces, sigmoid units minus step units": to_number(
            mean_interval(accuracies["sigmoid"] - accuracies["step"])
        ),
        **{
            f"half-spaces, accuracy of {unit} units": to_number(mean_interval(one))
            for unit, one in accuracies.items()
        },
    }


def steep_distance() -> float:
    """Return the largest difference of sigmoid(100 z) and the step at 0.1 <= |z| <= 10."""
    z = np.linspace(_BAND, 10, 10_001)
    z = np.concatenate([-z, z])
    return float(np.abs(sigmoid(_STEEPNESS * z) - UNITS["step"].function(z)).max())


# Figures.


def _build_curves(best: Mapping[str, TrainedConfiguration]) -> Picture:
    shown = ("sigmoid", _CENTRED, "tanh", "ReLU")
    losses = {name: best[name].curve("loss") for name in shown}
    return draw_curves(
        "activations-curves",
        {
            "training loss": losses,
            "accuracy on validation images": {
                name: best[name].curve("val_accuracy") for name in shown
            },
        },
        "Convergence of the same network with four activations, each at its own best learning "
        "rate: the mean over the seeds, and a band from the lowest to the highest of them.",
        "Training loss after the last epoch: "
        + ", ".join(f"{name} {curve[:, -1].mean():.3f}" for name, curve in losses.items()),
    )


def _build_rows(best: Mapping[str, TrainedConfiguration]) -> Picture:
    return draw_rows(
        "activations-accuracy",
        {name: one.test for name, one in best.items()},
        "accuracy on the test set",
        "Test accuracy with each activation at its own best learning rate: the mean over the seeds "
        "and its 95 % interval over new seeds.",
    )


def _build_table(best: Mapping[str, TrainedConfiguration]) -> Table:
    return Table(
        "The learning rate of Adam that was best on validation, and the training loss after the "
        "first and after the last epoch.",
        columns("activation", "#learning rate", "#first epoch", "#last epoch"),
        [
            [
                name,
                f"{one.params['learning_rate']:g}",
                *(f"{one.curve('loss')[:, epoch].mean():.3f}" for epoch in (0, -1)),
            ]
            for name, one in best.items()
        ],
    )


def _build_functions() -> Picture:
    return Picture(
        name="activations-functions",
        caption=(
            "Each activation and its derivative. That of the step is 0 wherever it exists, and the "
            "sigmoid's is 1/4 at most; tanh has slope 1 at 0, and its outputs are centred. Maxout "
            "is drawn with the weighted sums z and -z/2."
        ),
        alt="Eight panels: step, sigmoid, tanh, ReLU, leaky ReLU, ELU, maxout and identity.",
        svg=_draw_functions(),
    )


@drawing
def _draw_functions() -> Figure:
    pairs: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
        name: (unit.function, unit.derivative)
        for name, unit in UNITS.items()
        if name != "centred sigmoid"
    }
    pairs["maxout"] = (lambda z: np.maximum(z, -z / 2), lambda z: np.where(z >= 0, 1.0, -0.5))
    figure, rows = new_panels(2, 4, 2.9)
    z = np.linspace(-4, 4, 400)
    for axes, (name, (function, derivative)) in zip(
        [axes for row in rows for axes in row], pairs.items(), strict=True
    ):
        axes.axhline(0, color="#C9D1D9", lw=0.7)
        axes.axvline(0, color="#C9D1D9", lw=0.7)
        # NaN at the origin, where it may jump: no vertical line is drawn.
        for curve, color, style in ((function, BLUE, "-"), (derivative, ORANGE, "--")):
            values = curve(z)
            jump = np.flatnonzero(np.abs(np.diff(values)) > 0.3)
            axes.plot(
                z,
                np.where(np.isin(np.arange(len(z)), jump), np.nan, values),
                style,
                color=color,
                lw=1.7,
            )
        axes.set(
            title=name, xlim=(-4, 4), ylim=(-1.3, 2.3), xticks=[-3, 0, 3], yticks=[-1, 0, 1, 2]
        )
        axes.title.set_fontsize(8)
    legend_above(
        figure,
        [
            Line2D([], [], color=BLUE, label="activation"),
            Line2D([], [], color=ORANGE, ls="--", label="derivative"),
        ],
    )
    return figure


def _build_planes(planes: _Planes) -> Picture:
    accuracies = {
        unit: float(one.last.measure_accuracy(planes.new_x, planes.new_y)[0])
        for unit, one in planes.trained.items()
    }
    return Picture(
        name="activations-features",
        caption=(
            "What each of four hidden units gives in the plane, and the network beside them, for "
            "the points inside four half-spaces (orange). Above step units, which are still where "
            "they began at random; below sigmoid units with the same start, which have moved. Blue "
            "is 0 and orange 1."
        ),
        alt="; ".join(
            f"with {unit} units {value:.3f} of new points are right"
            for unit, value in accuracies.items()
        ),
        svg=_draw_planes(planes),
    )


def _compute_unit(network: TwoLayers, place: int, x: Array) -> Array:
    return network.compute_hidden(x)[0, :, place]


def _compute_output(network: TwoLayers, x: Array) -> Array:
    return sigmoid(network.compute_logits(x)[0])


@drawing
def _draw_planes(planes: _Planes) -> Figure:
    figure, rows = new_panels(2, _STEP_UNITS + 1, 2.3)
    half_width = HALF_SPACES.half_width
    for row, (unit, trained) in zip(rows, planes.trained.items(), strict=True):
        network = trained.last
        for place, axes in enumerate(row[:-1]):
            draw_plane(axes, functools.partial(_compute_unit, network, place), half_width)
            axes.set_title(f"unit {place + 1}", fontsize=8)
        draw_plane(row[-1], functools.partial(_compute_output, network), half_width)
        draw_points(row[-1], planes.x, planes.y)
        row[-1].set_title("network", fontsize=8)
        row[0].set_ylabel(unit, fontsize=8.5)
    return figure


EXPERIMENT = LectureExperiment(
    name="activations",
    title="Activations of hidden units",
    source=(
        "OSU ECE 5307 unit 8, 'Common choices for hidden-layer activation'; NYU Tandon CS-UY 4563, "
        "lecture 16, 'Feature extraction'; Columbia, Optimization II, 'Power of non-linear "
        "activations'"
    ),
    claim=(
        "The activation decides what a network learns and how fast: tanh often does better than "
        "sigmoid, because its outputs are centred"
    ),
    rules=[
        Rule(
            claim="tanh does better than sigmoid, each at its own best learning rate",
            place="OSU, 'Common choices for hidden-layer activation'",
            conditions=[
                Condition("tanh minus sigmoid", at_least=0),
                Condition("training loss, sigmoid minus tanh", at_least=0),
            ],
            reason="the claim is of an order, so any difference whose interval is above 0 counts",
        ),
        Rule(
            claim="centring alone does it: sigmoid minus 1/2 does better than sigmoid",
            place="OSU, 'Common choices for hidden-layer activation'",
            conditions=[
                Condition("sigmoid minus 1/2, compared with sigmoid", at_least=0),
                Condition("training loss, sigmoid compared with sigmoid minus 1/2", at_least=0),
            ],
            reason=(
                "as above; sigmoid minus 1/2 has the sigmoid's slope, so it differs in nothing but "
                "the centre"
            ),
        ),
        Rule(
            claim="ReLU works well in shallow networks too",
            place="OSU, 'Common choices for hidden-layer activation'",
            conditions=[Condition("ReLU minus the best other activation", at_least=-0.01)],
            reason="less than a point below the best of seven others, which are chosen by the test",
        ),
        Rule(
            claim="activations that are not linear do better than the identity",
            place="Columbia, 'Power of non-linear activations'",
            conditions=[Condition(f"{name} minus identity", at_least=0.01) for name in _NOT_LINEAR],
            reason="a point: more than training for another epoch changes",
        ),
        Rule(
            claim="tanh is a sigmoid, stretched and centred, and the derivatives are as derived",
            place="OSU, 'Common choices for hidden-layer activation'",
            conditions=[
                Condition("largest difference of tanh(z) and 2 sigmoid(2 z) - 1", at_most=1e-15),
                Condition("largest error of a derivative", at_most=1e-8),
            ],
            reason=(
                "a few roundings of float64, whose precision is 2.2e-16; a central difference with "
                "steps of 1e-5 rounds by 1e-10 for values up to 5"
            ),
        ),
        Rule(
            claim="features of step units are binary, and those of sigmoid units mimic them",
            place="NYU, 'Feature extraction'",
            conditions=[
                Condition("share of step units' outputs that are 0 or 1", at_least=1),
                Condition("largest distance of steep sigmoid units from step units", at_most=5e-5),
                Condition(
                    "share of trained sigmoid units' outputs within 0.1 of 0 or 1", at_least=0.5
                ),
            ],
            reason=(
                "all outputs; 1 / (1 + exp(10)) is 4.5e-5 where the sum is 0.1 and weights are 100 "
                "times as large; and most outputs of units that were trained"
            ),
        ),
        Rule(
            claim="no gradient passes a step, so its hidden layer stays at its random start",
            place="NYU, 'Two-layer (sigmoid) perceptron'",
            conditions=[
                Condition("largest change of a hidden weight under step units", at_most=0),
                Condition("half-spaces, sigmoid units minus step units", at_least=0),
            ],
            reason="the derivative is exactly 0, and any advantage of moved units counts",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set activation=sigmoid, then --set activation=tanh: which curve "
        "begins higher?",
        "assay run mnist-mlp --set activation=heaviside: what does Assay say, and why?",
        'In _NETWORKS add optimizer = "sgd" and rates from 0.01 to 1: does centring matter more '
        "without Adam, which rescales each weight's gradient?",
    ),
)
