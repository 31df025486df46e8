"""Learning rates: too low crawls, too high oscillates, and optimizers that forgive more of them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from assay.experiments.data.sources.generated import GeneratedSource
from assay.experiments.data.sources.toy_sets import HALF_SPACES
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, TrainedConfiguration, compare, to_number
from assay.experiments.lectures.drawing import plot_seeds
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.panels import draw_plane, new_panels
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.lectures.two_layers import TwoLayers, sigmoid, train_by_adam
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    INK,
    ORANGE,
    SERIES,
    drawing,
    legend_above,
    new_figure,
)

Array: TypeAlias = NDArray[np.float64]

_NETWORKS = """
title = "Four optimizers over six decades of learning rates"
source = "Fraida Fund, 'Learning rate'"

[data]
name = "digits"

[model]
family = "mlp"
hidden_units = 32
activation = "tanh"

[train]
epochs = {epochs}
batch_size = 32

[space]
optimizer = {optimizers}
learning_rate = {rates}
"""
_BASELINE = """
[[baseline]]
optimizer = "{optimizer}"
learning_rate = {rate}
"""

_OPTIMIZERS = {"SGD": "sgd", "momentum": "momentum", "RMSProp": "rmsprop", "Adam": "adam"}
_ADAPTIVE = ("momentum", "RMSProp", "Adam")
_LOWEST, _HIGHEST = 1e-5, 10.0
_WITHIN = 0.05
"""A rate works if the accuracy is so close to the best of all rates and optimizers."""

_HERD_SEEDS, _HERD_UNITS, _HIGH_RATE, _SMALL_RATE = 20, 4, 1.0, 0.01
_ALIKE = 0.95
"""Two units are alike if their weights, biases included, have a cosine of that size or more."""

Grid: TypeAlias = Mapping[str, Mapping[float, TrainedConfiguration]]
"""Trained configurations by optimizer and learning rate."""


def measure(bench: Bench) -> Measured:
    """Train one network with each optimizer and rate; a bowl and the herd are in NumPy."""
    step = bench.pick(toy=3.0, short=1.0, full=0.5)
    rates = [float(f"{rate:.3g}") for rate in _LOWEST * 10 ** np.arange(0, 6.1, step)]
    text = _NETWORKS.format(
        epochs=bench.pick(toy=3, short=8, full=30), optimizers=[*_OPTIMIZERS.values()], rates=rates
    )
    text += "".join(
        _BASELINE.format(optimizer=optimizer, rate=rate)
        for optimizer in _OPTIMIZERS.values()
        for rate in rates
    )
    seeds = bench.pick(toy=3, short=5, full=10)
    trained = bench.train("learning-rate", text, seeds)
    grid = {
        name: {rate: trained.find(optimizer=key, learning_rate=rate) for rate in rates}
        for name, key in _OPTIMIZERS.items()
    }
    accuracies = {
        name: np.array([_accuracies(one, seeds) for one in by_rate.values()])
        for name, by_rate in grid.items()
    }
    widths = {name: count_decades(one, _best(accuracies), step) for name, one in accuracies.items()}
    herd = _measure_herd(bench)
    sgd = grid["SGD"]
    best = rates[int(accuracies["SGD"].mean(axis=1).argmax())]
    compared = compare({"low": sgd[_LOWEST], "best": sgd[best]} | {"high": sgd[_HIGHEST]})
    return Measured(
        numbers={
            "SGD, best rate minus the lowest": compared["best", "low"],
            "SGD, best rate minus the highest": compared["best", "high"],
            "SGD at the lowest rate, last loss as a fraction of the first": to_number(
                mean_interval(sgd[_LOWEST].curve("loss")[:, -1] / sgd[_LOWEST].curve("loss")[:, 0])
            ),
            "SGD at the highest rate, share of epochs in which the loss rises": to_number(
                mean_interval((np.diff(sgd[_HIGHEST].curve("loss")) > 0).mean(axis=1))
            ),
            "rate at which descent on a bowl stops converging, times its curvature": Number(
                largest_rate(10.0) * 10.0
            ),
            **{
                f"decades of rates that work, {name} minus SGD": to_number(
                    mean_interval(widths[name] - widths["SGD"])
                )
                for name in _ADAPTIVE
            },
            **{
                f"decades of rates that work, {name}": to_number(mean_interval(width))
                for name, width in widths.items()
            },
            "pairs of units that are alike, high rate minus small rate first": to_number(
                mean_interval(herd["high rate"].alike - herd["small rate first"].alike)
            ),
            "half-spaces, accuracy with a small rate first minus a high rate": to_number(
                mean_interval(herd["small rate first"].accuracy - herd["high rate"].accuracy)
            ),
            **{
                f"half-spaces, accuracy with a {name}": to_number(mean_interval(one.accuracy))
                for name, one in herd.items()
            },
        },
        pictures=[
            _build_rates(rates, accuracies),
            _build_curves(sgd, best),
            _build_bowl(),
            _build_herd(herd),
        ],
        tables=[_build_table(rates, accuracies)],
        notes=[
            f"A rate works if the test accuracy is at most {_WITHIN:g} below the best of all rates "
            f"and optimizers; each rate that works counts {step:g} decades. All optimizers have "
            "the same rates and epochs.",
            "A training that diverged counts as an accuracy of 0.",
        ],
        studies=[trained.name],
    )


def _accuracies(configuration: TrainedConfiguration, seeds: int) -> Array:
    """Return the test accuracy of each seed (seeds,), with 0 for those that diverged."""
    if configuration.finalist.test is None:
        return np.zeros(seeds)
    measured = configuration.scores.mean(axis=1)
    return np.pad(measured, (0, seeds - len(measured)))


def _best(accuracies: Mapping[str, Array]) -> float:
    """Return the best mean over seeds."""
    return max(float(one.mean(axis=1).max()) for one in accuracies.values())


def count_decades(accuracies: Array, best: float, step: float) -> Array:
    """Return the decades of rates that work, for each seed.

    Args:
        accuracies: by rate and seed (rates, seeds).
        best: the accuracy that they are compared with.
        step: decades from one rate to the next.
    """
    decades: Array = step * (accuracies >= best - _WITHIN).sum(axis=0)
    return decades


# Gradient descent on a bowl.


def descend(rate: float, curvatures: Sequence[float], start: Sequence[float], steps: int) -> Array:
    """Return the path (steps + 1, weights) of gradient descent on sum(curvature w^2 / 2).

    Each step multiplies a weight by 1 - rate x curvature.
    """
    factors = 1 - rate * np.asarray(curvatures)
    path: Array = np.asarray(start) * factors ** np.arange(steps + 1)[:, np.newaxis]
    return path


def largest_rate(curvature: float) -> float:
    """Return the largest rate at which descent on a bowl converges, by bisection.

    Descent has converged if 100,000 steps leave less of the weight than there was at the start.
    """
    low, high = 0.0, 10 / curvature
    for _ in range(60):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):
            end = descend(middle, [curvature], [1.0], 100_000)[-1, 0]
        low, high = (middle, high) if abs(end) < 1 else (low, middle)
    return low


# Hidden units that specialize, or move as a herd.


@dataclass(frozen=True)
class _Herd:
    """Networks that were trained with one course of the rate.

    Attributes:
        networks: the networks, one for each seed.
        alike: share of pairs of units that are alike (seeds,).
        accuracy: accuracy on new points (seeds,).
    """

    networks: TwoLayers
    alike: Array
    accuracy: Array


def _measure_herd(bench: Bench) -> Mapping[str, _Herd]:
    """Train four sigmoid units at a high rate, and with a small rate in the first half."""
    arrays = GeneratedSource("half-spaces").load()
    x, y = arrays.x_train.astype(np.float64), arrays.y_train.astype(np.float64)
    new_x = arrays.x_test.astype(np.float64)
    start = TwoLayers.draw("sigmoid", 2, _HERD_UNITS, _HERD_SEEDS, np.random.default_rng(0))
    half = bench.pick(toy=50, short=300, full=1_000)
    found = {}
    for name, first in (("high rate", _HIGH_RATE), ("small rate first", _SMALL_RATE)):
        networks = start
        for rate in (first, _HIGH_RATE):
            networks = train_by_adam(
                networks,
                x,
                y,
                epochs=half,
                random=np.random.default_rng(1),
                learning_rate=rate,
            ).last
        accuracy = networks.measure_accuracy(new_x, arrays.y_test)
        found[name] = _Herd(networks, share_alike(networks), accuracy)
    return found


def share_alike(networks: TwoLayers) -> Array:
    """Return the share of pairs of hidden units that are alike, of each network (seeds,).

    The units' weights and bias are one vector; see `_ALIKE`. Units with opposite vectors have the
    same line, and count as alike too.
    """
    vectors = np.concatenate([networks.kernel, networks.bias], axis=1)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.abs(vectors.swapaxes(1, 2) @ vectors)
    pairs = list(itertools.combinations(range(cosines.shape[1]), 2))
    alike: Array = np.mean([cosines[:, one, other] >= _ALIKE for one, other in pairs], axis=0)
    return alike


# Figures.


def _build_rates(rates: Sequence[float], accuracies: Mapping[str, Array]) -> Picture:
    best = {name: f"{rates[int(one.mean(axis=1).argmax())]:g}" for name, one in accuracies.items()}
    return Picture(
        name="learning-rate-range",
        caption=(
            "Test accuracy by learning rate, on a logarithmic axis, after the same number of "
            "epochs: the mean over the seeds, and a band from the lowest to the highest of them. "
            f"Rates above the dashed line, {_WITHIN:g} below the best of all, work."
        ),
        alt="Best rates: " + ", ".join(f"{name} {rate}" for name, rate in best.items()),
        svg=_draw_rates(rates, accuracies),
    )


@drawing
def _draw_rates(rates: Sequence[float], accuracies: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(2.8)
    for color, curves in zip(SERIES, accuracies.values(), strict=True):
        low, high = curves.min(axis=1), curves.max(axis=1)
        axes.fill_between(rates, low, high, color=color, alpha=0.15, lw=0)
        axes.plot(rates, curves.mean(axis=1), "o-", color=color, ms=3.5, lw=1.7)
    axes.axhline(_best(accuracies) - _WITHIN, color=INK, lw=0.9, ls="--")
    axes.set(xscale="log", ylim=(0, 1), xlabel="learning rate", ylabel="test accuracy")
    legend_above(
        figure,
        [Line2D([], [], color=c, label=name) for c, name in zip(SERIES, accuracies, strict=True)],
    )
    return figure


def _build_curves(sgd: Mapping[float, TrainedConfiguration], best: float) -> Picture:
    shown = {f"{rate:g}": sgd[rate].curve("loss") for rate in sorted({_LOWEST, best, _HIGHEST})}
    return Picture(
        name="learning-rate-curves",
        caption=(
            "Training loss of plain SGD by epoch at the lowest, the best and the highest rate, on "
            "a logarithmic axis: the mean over the seeds, and a band from the lowest to the "
            "highest of them."
        ),
        alt="Loss at the end: "
        + ", ".join(f"{curve[:, -1].mean():.3g} at {rate}" for rate, curve in shown.items()),
        svg=_draw_curves(shown),
    )


@drawing
def _draw_curves(curves: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(2.5)
    colors = dict(zip(curves, SERIES, strict=False))
    for name, color in colors.items():
        plot_seeds(axes, curves[name], color)
    axes.set(yscale="log", xlabel="epoch", ylabel="training loss")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_above(
        figure,
        [Line2D([], [], color=color, label=f"rate {name}") for name, color in colors.items()],
    )
    return figure


_BOWL, _BOWL_START = (1.0, 10.0), (-4.0, 1.5)


def _build_bowl() -> Picture:
    return Picture(
        name="learning-rate-bowl",
        caption=(
            "Twenty steps of gradient descent on a bowl with curvatures 1 and 10. At 0.01 it "
            "crawls, at 0.18 it oscillates across the valley and gets there, and at 0.205, just "
            "above 2 / 10, it diverges."
        ),
        alt="Three paths on the contours of one bowl: short, zigzag, and growing zigzag.",
        svg=_draw_bowl(),
    )


@drawing
def _draw_bowl() -> Figure:
    figure, (row,) = new_panels(1, 3, 1.75)
    across, up = np.meshgrid(np.linspace(-5, 5, 101), np.linspace(-3, 3, 101))
    heights = (_BOWL[0] * across**2 + _BOWL[1] * up**2) / 2
    for axes, rate in zip(row, (0.01, 0.18, 0.205), strict=True):
        axes.contour(across, up, heights, np.geomspace(0.3, 40, 7), colors=BLUE, linewidths=0.5)
        path = descend(rate, _BOWL, _BOWL_START, 20)
        axes.plot(*path.T, "o-", color=ORANGE, ms=2.6, lw=1.1)
        axes.plot(0, 0, "+", color=INK, ms=6)
        axes.set(xlim=(-5, 5), ylim=(-3, 3), xticks=[], yticks=[])
        axes.set_title(f"rate {rate:g}", fontsize=8.5)
    return figure


def _build_herd(herd: Mapping[str, _Herd]) -> Picture:
    return Picture(
        name="learning-rate-herd",
        caption=(
            "Outputs of four hidden units and of the network, which began with the same weights. "
            f"Above at a high rate, {_HIGH_RATE:g}, below at {_SMALL_RATE:g} in the first half of "
            "the epochs. The class is the inside of a diamond. Of the seeds the first is drawn."
        ),
        alt="; ".join(
            f"{name}: {one.alike.mean():.2f} of pairs alike" for name, one in herd.items()
        ),
        svg=_draw_herd(herd),
    )


def _compute_unit(network: TwoLayers, place: int, x: Array) -> Array:
    return network.compute_hidden(x)[0, :, place]


def _compute_output(network: TwoLayers, x: Array) -> Array:
    return sigmoid(network.compute_logits(x)[0])


@drawing
def _draw_herd(herd: Mapping[str, _Herd]) -> Figure:
    figure, rows = new_panels(len(herd), _HERD_UNITS + 1, 2.3)
    half_width = HALF_SPACES.half_width
    for row, (name, one) in zip(rows, herd.items(), strict=True):
        for place, axes in enumerate(row[:-1]):
            draw_plane(axes, functools.partial(_compute_unit, one.networks, place), half_width)
            axes.set_title(f"unit {place + 1}", fontsize=8)
        draw_plane(row[-1], functools.partial(_compute_output, one.networks), half_width)
        row[-1].set_title("network", fontsize=8)
        row[0].set_ylabel(name, fontsize=8.5)
    return figure


def _build_table(rates: Sequence[float], accuracies: Mapping[str, Array]) -> Table:
    return Table(
        "Test accuracy by learning rate: the mean over the seeds.",
        columns("learning rate", *(f"#{name}" for name in accuracies)),
        [
            [f"{rate:g}", *(f"{one[place].mean():.3f}" for one in accuracies.values())]
            for place, rate in enumerate(rates)
        ],
    )


EXPERIMENT = LectureExperiment(
    name="learning-rate",
    title="Learning rates",
    source="Fraida Fund, 'Training challenges' ('Learning rate' and 'Herd effect')",
    claim=(
        "Too low a learning rate crawls and too high a one oscillates; momentum, RMSProp and Adam "
        "help, and so does a small rate at the start"
    ),
    rules=[
        Rule(
            claim="a rate can be too low, and crawl, or too high, and oscillate",
            place="Fund, 'Learning rate'",
            conditions=[
                Condition("SGD, best rate minus the lowest", at_least=0.1),
                Condition("SGD, best rate minus the highest", at_least=0.1),
                Condition(
                    "SGD at the lowest rate, last loss as a fraction of the first", at_least=0.9
                ),
                Condition(
                    "SGD at the highest rate, share of epochs in which the loss rises",
                    at_least=0.25,
                ),
            ],
            reason=(
                "ten points of accuracy; a loss that has not fallen by a tenth; and a loss that "
                "rises in one epoch of four, where half of them would be chance alone"
            ),
        ),
        Rule(
            claim="on a bowl descent converges at rates below 2 / curvature, and diverges above",
            place="Fund, 'Learning rate'",
            conditions=[
                Condition(
                    "rate at which descent on a bowl stops converging, times its curvature",
                    at_least=2 - 1e-9,
                    at_most=2 + 1e-9,
                )
            ],
            reason=(
                "a step multiplies the weight by 1 - rate x curvature, which is -1 at 2; float64 "
                "tells 1 from 1 + 2e-16, and bisection ends far below 1e-9"
            ),
        ),
        Rule(
            claim="momentum, RMSProp and Adam widen the range of rates that work",
            place="Fund, 'Learning rate'",
            conditions=[
                Condition(f"decades of rates that work, {name} minus SGD", at_least=0.5)
                for name in _ADAPTIVE
            ],
            reason=(
                "rates are a decade apart, so half a decade is one rate more for half of the seeds"
            ),
        ),
        Rule(
            claim="with a small rate at the start hidden units specialize",
            place="Fund, 'Herd effect'",
            conditions=[
                Condition(
                    "pairs of units that are alike, high rate minus small rate first",
                    at_least=0.01,
                ),
                Condition(
                    "half-spaces, accuracy with a small rate first minus a high rate", at_least=0
                ),
            ],
            reason=(
                "one pair of 100, of the 120 pairs of 20 seeds; of accuracy any difference whose "
                "interval is above 0"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run digits-mlp --set optimizer=sgd --set learning_rate=10: what does the loss do?",
        "assay run digits-mlp --set learning_rate=0.1 --set warmup_epochs=3: does a small start "
        "help Adam?",
        "In _NETWORKS set batch_size = 1000: does the highest rate that works move?",
    ),
)
