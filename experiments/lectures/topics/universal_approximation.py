"""One hidden layer approximates any continuous function: how wide, and if training finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from assay.experiments.data.sources.generated import GeneratedSource
from assay.experiments.data.sources.toy_sets import absolute, runge, sine
from assay.experiments.decision.files import predictions_file
from assay.experiments.lectures.bench import Bench, TrainedConfiguration, compare
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.panels import new_panels
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SERIES,
    drawing,
    legend_above,
    new_figure,
)
from assay.models.worker.testing import read_predictions

Array: TypeAlias = NDArray[np.float64]

_NETWORKS = """
title = "One hidden layer of more and more units on a sine"
source = "Columbia, Optimization II, 'Neural network approximation theorems'"
task = "regression"

[data]
name = "sine"
noise = 0.0
scale = "standard"

[model]
family = "mlp"
activation = "relu"

[train]
epochs = {epochs}
learning_rate = 3e-3
batch_size = 25

[space]
hidden_units = {widths}
"""
_BASELINE = """
[[baseline]]
hidden_units = {width}
"""

_SIZES = (4, 10, 30, 100)
"""Numbers of units, or coefficients, of functions that are fitted by least squares."""

_DIMENSIONS = (1, 2, 3)
_UNITS_TRIED = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096)
_WANTED_ERROR = 0.1
"""Of a function of several inputs, as a fraction of its standard deviation."""


def measure(bench: Bench) -> Measured:
    """Train networks of rising width, and write some down that no training is needed for."""
    widths = bench.pick(
        toy=[1, 10, 100, 1_000],
        short=[1, 3, 10, 30, 100, 300, 1_000],
        full=[1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1_000],
    )
    text = _NETWORKS.format(epochs=bench.pick(toy=3, short=100, full=300), widths=widths)
    text += "".join(_BASELINE.format(width=width) for width in widths)
    trained = bench.train(
        "universal-approximation", text, seeds=bench.pick(toy=3, short=5, full=10)
    )
    networks = {width: trained.find(hidden_units=width) for width in widths}
    compared = compare({f"{width}": one for width, one in networks.items()})
    fits = {name: [fit_error(make(size)) for size in _SIZES] for name, make in FEATURES.items()}
    needed = {dimension: width_needed(dimension) for dimension in _DIMENSIONS}
    written = float(np.abs(interpolant_error(100)).mean())
    return Measured(
        numbers={
            "error, 1 unit minus 10 units": compared["1", "10"],
            "error, 10 units minus 100 units": compared["10", "100"],
            **{
                f"error, {width:,} unit{'s' * (width > 1)}": one.test
                for width, one in networks.items()
            },
            "largest error of 100 ReLU units that are written down": Number(
                float(np.abs(interpolant_error(100)).max())
            ),
            "error, 100 ReLU units that are written down": Number(written),
            "error of 100 trained units, as a multiple of 100 that are written down": _divide(
                networks[100].test, written
            ),
            "largest error of a product of networks of cos units": Number(product_error("cos")),
            "largest error of a product of networks of exp units": Number(product_error("exp")),
            **{
                f"{name}: largest error with 100, as a fraction of that with 10": Number(
                    errors[_SIZES.index(100)] / errors[_SIZES.index(10)]
                )
                for name, errors in fits.items()
            },
            "polynomial through 41 equidistant points of 1 / (1 + 25 x^2), largest error": Number(
                polynomial_error(equidistant=True)
            ),
            "the same through Chebyshev's points": Number(polynomial_error(equidistant=False)),
            **{
                f"units needed, {dimension} input{'s' * (dimension > 1)}": Number(units)
                for dimension, units in needed.items()
            },
            "units needed with 3 inputs, as a multiple of those with 1": Number(
                needed[3] / needed[1]
            ),
        },
        pictures=[
            _build_fits(networks),
            _build_widths(networks),
            _build_families(fits),
            _build_dimensions(needed),
        ],
        tables=[_build_table(fits)],
        notes=[
            "An error is the mean absolute error on 10,000 new points of sin(2 pi x) on [-1, 1], "
            "without noise; a largest error is over 4,001 evenly spaced points.",
            "Fitted functions have fixed units, and weights of the output by least squares: of cos "
            "units the frequencies are multiples of pi / 2, of exp units the exponents lie evenly "
            "between -10 and 10.",
            "Units needed are random tanh units with weights of the output by least squares, "
            "doubled until the error on new points is a tenth of the function's standard "
            "deviation. The function is the product of sin(pi x) over the inputs. "
            f"{_UNITS_TRIED[-1]:,} means that fewer were not enough.",
        ],
        studies=[trained.name],
    )


def _divide(number: Number, by: float) -> Number:
    return Number(
        number.value / by,
        None if number.low is None else number.low / by,
        None if number.high is None else number.high / by,
        number.seeds,
    )


# Networks that are written down.


def _grid() -> Array:
    return np.linspace(-1, 1, 4_001)


def interpolate_by_relu(function: Callable[[Array], Array], units: int) -> Callable[[Array], Array]:
    """Return a network of ReLU units that equals a function at units + 1 even points of [-1, 1].

    Between them it is linear: unit k bends the line at knot k by the change of the slope, so its
    largest error is at most h^2 / 8 times the largest second derivative, with knots h apart.

    Example:
        >>> network = interpolate_by_relu(np.abs, 2)
        >>> network(np.array([-1.0, 0.5]))
        array([1. , 0.5])
    """
    knots = np.linspace(-1, 1, units + 1)
    slopes = np.diff(function(knots)) / np.diff(knots)
    weights = np.diff(slopes, prepend=0.0)
    start = float(function(knots[:1])[0])

    def network(x: Array) -> Array:
        hidden = np.maximum(0.0, x[:, np.newaxis] - knots[:-1])
        value: Array = start + hidden @ weights
        return value

    return network


def interpolant_error(units: int) -> Array:
    """Return the error of `interpolate_by_relu` of the sine at the grid's points."""
    x = _grid()
    error: Array = interpolate_by_relu(sine, units)(x) - sine(x)
    return error


def product_error(unit: str) -> float:
    """Return how far a product of two networks is from the network that equals it.

    cos(u) cos(v) = cos(u + v) / 2 + cos(u - v) / 2 and exp(u) exp(v) = exp(u + v), so a product of
    networks of 20 units is a network of 800 cos or 400 exp units. Relative to the largest value.

    Args:
        unit: "cos" or "exp".
    """
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, (1_000, 3))
    (a, w, b), (c, v, d) = (
        (random.standard_normal(20), random.standard_normal((3, 20)), random.standard_normal(20))
        for _ in range(2)
    )
    function = np.cos if unit == "cos" else np.exp
    product = (function(x @ w + b) @ a) * (function(x @ v + d) @ c)
    outputs = np.outer(a, c).ravel()
    pairs = [(_pair(w, v, sign), _pair(b, d, sign)) for sign in (1, -1)]
    if unit == "cos":
        same = sum(np.cos(x @ kernel + bias) @ outputs / 2 for kernel, bias in pairs)
    else:
        same = np.exp(x @ pairs[0][0] + pairs[0][1]) @ outputs
    return float(np.abs(product - same).max() / np.abs(product).max())


def _pair(first: Array, second: Array, sign: int) -> Array:
    """Return the sum, or difference, of each column of one array and each of another."""
    pairs = first[..., :, np.newaxis] + sign * second[..., np.newaxis, :]
    return pairs.reshape(*first.shape[:-1], -1)


# Functions that are fitted by least squares.


def _cos_features(size: int) -> Array:
    return np.cos(np.pi / 2 * np.arange(size) * (_grid()[:, np.newaxis] + 1))


def _exp_features(size: int) -> Array:
    exponents = np.linspace(-10, 10, size)
    return np.exp(exponents * _grid()[:, np.newaxis] - np.abs(exponents))


def _relu_features(size: int) -> Array:
    knots = np.linspace(-1, 1, size)[:-1]
    hidden = np.maximum(0.0, _grid()[:, np.newaxis] - knots)
    features: Array = np.column_stack([np.ones(len(hidden)), hidden])
    return features


def _polynomial_features(size: int) -> Array:
    features: Array = np.polynomial.chebyshev.chebvander(_grid(), size - 1).astype(np.float64)
    return features


FEATURES: Mapping[str, Callable[[int], Array]] = {
    "cos units": _cos_features,
    "exp units": _exp_features,
    "ReLU units": _relu_features,
    "polynomial": _polynomial_features,
}
"""By name: takes the number of units or coefficients, and returns their values on the grid."""


def fit_error(features: Array) -> float:
    """Return the largest error of the least-squares fit of |x| by features (points, size)."""
    target = absolute(_grid())
    weights = np.linalg.lstsq(features, target, rcond=None)[0]
    return float(np.abs(features @ weights - target).max())


def polynomial_error(*, equidistant: bool) -> float:
    """Return the largest error of the polynomial through 41 points of 1 / (1 + 25 x^2)."""
    places = np.arange(41)
    nodes = -1 + places / 20 if equidistant else np.cos(np.pi * (places + 0.5) / 41)
    weights = np.linalg.solve(np.polynomial.chebyshev.chebvander(nodes, 40), runge(nodes))
    values = np.polynomial.chebyshev.chebval(_grid(), weights)
    return float(np.abs(values - runge(_grid())).max())


def width_needed(dimension: int) -> int:
    """Return how many random tanh units a product of sines of that many inputs takes.

    See `_WANTED_ERROR`; the number is a power of 2, and at most 4,096. The smallest number is that
    at which the median error of 3 draws is small enough.
    """
    for units in _UNITS_TRIED:
        errors = [_random_units_error(dimension, units, seed) for seed in range(3)]
        if np.median(errors) <= _WANTED_ERROR:
            return units
    return _UNITS_TRIED[-1]


def _random_units_error(dimension: int, units: int, seed: int) -> float:
    random = np.random.default_rng(seed)
    x, new_x = random.uniform(-1, 1, (2, 6_000, dimension))
    kernel = 2 * random.standard_normal((dimension, units))
    # The borders of the units pass through points of the square, so that none is idle.
    bias = -(random.uniform(-1, 1, (units, dimension)) * kernel.T).sum(axis=1)
    features, new_features = (
        np.column_stack([np.ones(len(points)), np.tanh(points @ kernel + bias)])
        for points in (x, new_x)
    )
    y, new_y = (np.prod(np.sin(np.pi * points), axis=1) for points in (x, new_x))
    # A small ridge, by normal equations: units are nearly dependent, and this is fast.
    gram = features.T @ features + 1e-8 * len(x) * np.eye(units + 1)
    weights = np.linalg.solve(gram, features.T @ y)
    return float(np.sqrt(np.mean((new_features @ weights - new_y) ** 2)) / new_y.std())


# Figures.


def _build_fits(networks: Mapping[int, TrainedConfiguration]) -> Picture:
    shown = {width: networks[width] for width in (1, 10, 100, 1_000)}
    return Picture(
        name="universal-approximation-fits",
        caption=(
            "What one trained network of each width gives (orange) on new points of sin(2 pi x), "
            "which is the blue line. Each ReLU unit bends the line once."
        ),
        alt="; ".join(
            f"{width:,} units: mean absolute error {one.test.value:.3g}"
            for width, one in shown.items()
        ),
        svg=_draw_fits(shown),
    )


@drawing
def _draw_fits(networks: Mapping[int, TrainedConfiguration]) -> Figure:
    figure, rows = new_panels(2, 2, 3.2)
    x = GeneratedSource("sine", noise=0.0).load().x_test[:, 0]
    order = np.argsort(x)[::25]
    for axes, (width, network) in zip(
        [axes for row in rows for axes in row], networks.items(), strict=True
    ):
        first = next(one for one in network.trainings if one.is_complete)
        values, _ = read_predictions(predictions_file(network.folder, first.begun.trial))
        axes.plot(_grid()[::20], sine(_grid()[::20]), color=BLUE, lw=3.2, alpha=0.35)
        axes.plot(x[order], values[order, 0], color=ORANGE, lw=1.5)
        axes.set(ylim=(-1.6, 1.6), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axes.set_title(f"{width:,} unit{'s' * (width > 1)}", fontsize=8.5)
    return figure


def _build_widths(networks: Mapping[int, TrainedConfiguration]) -> Picture:
    ends = [next(iter(networks.items())), list(networks.items())[-1]]
    return Picture(
        name="universal-approximation-width",
        caption=(
            "Mean absolute error on the sine by the number of ReLU units, both axes logarithmic: "
            "of trained networks, each seed a point and their mean a line, and of the network "
            "that is written down, which interpolates. Between the lines is what training does "
            "not find."
        ),
        alt="; ".join(f"{width:,}: trained {one.test.value:.3g}" for width, one in ends),
        svg=_draw_widths(networks),
    )


@drawing
def _draw_widths(networks: Mapping[int, TrainedConfiguration]) -> Figure:
    figure, (axes,) = new_figure(2.7)
    widths = list(networks)
    written = [float(np.abs(interpolant_error(width)).mean()) for width in widths]
    for width, network in networks.items():
        errors = network.scores.mean(axis=1)
        axes.plot([width] * len(errors), errors, ".", color=BLUE, ms=7, alpha=0.4, mew=0)
    axes.plot(widths, [one.test.value for one in networks.values()], color=BLUE, lw=1.7)
    axes.plot(widths, written, "o-", color=ORANGE, ms=3.5, lw=1.7)
    axes.set(xscale="log", yscale="log", xlabel="hidden units", ylabel="mean absolute error")
    legend_above(
        figure,
        [
            Line2D([], [], color=BLUE, label="trained"),
            Line2D([], [], color=ORANGE, label="written down"),
        ],
    )
    return figure


def _build_families(fits: Mapping[str, list[float]]) -> Picture:
    return Picture(
        name="universal-approximation-families",
        caption=(
            "Largest error on |x| by the number of units or coefficients, both axes logarithmic. "
            "The kink is between two knots of the ReLU units."
        ),
        alt="; ".join(f"{name}: {errors[-1]:.2g} with 100" for name, errors in fits.items()),
        svg=_draw_families(fits),
    )


@drawing
def _draw_families(fits: Mapping[str, list[float]]) -> Figure:
    figure, (axes,) = new_figure(2.5)
    for color, errors in zip(SERIES, fits.values(), strict=True):
        axes.plot(_SIZES, errors, "o-", color=color, ms=3.5, lw=1.7)
    axes.set(xscale="log", yscale="log", ylabel="largest error on |x|")
    axes.set_xlabel("units, or coefficients of the polynomial")
    legend_above(
        figure,
        [Line2D([], [], color=color, label=name) for color, name in zip(SERIES, fits, strict=True)],
    )
    return figure


def _build_dimensions(needed: Mapping[int, int]) -> Picture:
    return Picture(
        name="universal-approximation-dimension",
        caption=(
            "Random tanh units that a product of sines takes by the number of its inputs, on a "
            "logarithmic axis. The grey line is proportional to the inputs."
        ),
        alt="; ".join(f"{dimension} inputs: {units:,}" for dimension, units in needed.items()),
        svg=_draw_dimensions(needed),
    )


@drawing
def _draw_dimensions(needed: Mapping[int, int]) -> Figure:
    figure, (axes,) = new_figure(2.1)
    inputs = list(needed)
    axes.plot(inputs, [needed[1] * dimension for dimension in inputs], "--", color=GREY, lw=1.2)
    axes.plot(inputs, list(needed.values()), "o-", color=BLUE, ms=5, lw=1.7)
    for dimension, units in needed.items():
        axes.annotate(
            f"{units:,}", (dimension, units), (0, 5), textcoords="offset points", color=INK
        )
    axes.set(yscale="log", xticks=inputs, xlabel="inputs", ylabel="units needed")
    axes.margins(y=0.2)
    return figure


def _build_table(fits: Mapping[str, list[float]]) -> Table:
    return Table(
        "Largest error of least-squares fits of |x|.",
        columns("units", *(f"#{size}" for size in _SIZES)),
        [[name, *(f"{error:.2g}" for error in errors)] for name, errors in fits.items()],
    )


EXPERIMENT = LectureExperiment(
    name="universal-approximation",
    title="Universal approximation",
    source=(
        "Columbia, Optimization II, 'Neural network approximation theorems' to 'Two-layer neural "
        "networks with exp activation functions'"
    ),
    claim=(
        "One hidden layer approximates any continuous function as closely as wanted, if it is wide "
        "enough; how wide, and how to find its weights, the theorem does not say"
    ),
    rules=[
        Rule(
            claim="the error of trained networks falls with their width",
            place="Columbia, 'Neural network approximation theorems'",
            conditions=[
                Condition("error, 1 unit minus 10 units", at_least=0.1),
                Condition("error, 10 units minus 100 units", at_least=0),
                Condition("error, 1,000 units", at_most=0.05),
            ],
            reason=(
                "a unit bends a line once and the sine turns four times, so a tenth of its height "
                "is little; then any difference; and a twentieth, which a picture hardly shows"
            ),
        ),
        Rule(
            claim="a network with any small error exists, and can be written down",
            place="Columbia, 'Neural network approximation theorems'",
            conditions=[
                Condition("largest error of 100 ReLU units that are written down", at_most=0.002)
            ],
            reason=(
                "linear interpolation at knots h = 0.02 apart errs by h^2 / 8 times the largest "
                "second derivative, 4 pi^2, which is 0.00197"
            ),
        ),
        Rule(
            claim="the theorem does not find the network, and training need not either",
            place="Columbia, 'Neural network approximation theorems'",
            conditions=[
                Condition(
                    "error of 100 trained units, as a multiple of 100 that are written down",
                    at_least=2,
                )
            ],
            reason="twice the error, which 71 units that are written down have: it falls with h^2",
        ),
        Rule(
            claim="products of networks of cos units, and of exp units, are such networks again",
            place=(
                "Columbia, 'Two-layer neural networks with cosine activation functions' and '... "
                "with exp activation functions'"
            ),
            conditions=[
                Condition(f"largest error of a product of networks of {unit} units", at_most=1e-12)
                for unit in ("cos", "exp")
            ],
            reason="sums of 800 terms in float64, whose precision is 2.2e-16, leave room for 5,000",
        ),
        Rule(
            claim="cos units, exp units and polynomials come closer to |x| the more there are",
            place="Columbia, 'Stone-Weierstrass theorem (general version)'",
            conditions=[
                Condition(
                    f"{name}: largest error with 100, as a fraction of that with 10", at_most=0.5
                )
                for name in ("cos units", "exp units", "polynomial")
            ],
            reason="ten times as many should halve the error at least",
        ),
        Rule(
            claim="the width that is needed grows fast with the number of inputs",
            place="Columbia, 'Neural network approximation theorems'",
            conditions=[
                Condition("units needed with 3 inputs, as a multiple of those with 1", at_least=4)
            ],
            reason="more than proportional to 3 inputs: the next power of 2 above 3 times as many",
        ),
    ],
    measure=measure,
    next_steps=(
        "Replace sine by step in _NETWORKS: near the jump no width helps, because the function is "
        "not continuous.",
        "Replace relu by tanh in _NETWORKS: which of the two needs fewer units for the sine?",
        "Add 4 to _DIMENSIONS: how many units does the next input take?",
    ),
)
