"""The smallest perceptron, its gradient step as printed and with a rate, and the step unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from assay.experiments.lectures.bench import Bench
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    drawing,
    legend_above,
    new_figure,
)

_Array = NDArray[np.float64]
_Point = tuple[Fraction, Fraction]

POINTS: Sequence[_Point] = tuple(
    (Fraction(x), Fraction(y))
    for x, y in (("10", "10.1"), ("2", "1.9"), ("3.5", "3.4"), ("1", "1.1"))
)
"""Inputs and targets of 'Learning a Perceptron', exact, so that no rounding decides."""

_RATES = (Fraction(1, 100), Fraction(1, 1_000))
_RATE_EPOCHS = 100
"""Enough for the smallest rate: in an epoch the distance shrinks to 0.89 of itself."""

_TWO_RATE, _TWO_EPOCHS, _TWO_NOISE = 0.01, 100, 0.1
_XOR_X = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
_XOR_Y = np.array([1.0, -1.0, -1.0, 1.0])
_XOR_EPOCHS = 1_000
_MARGIN = 0.1
"""Of the separable sets: no point is nearer to the line that labels it."""

_PRINTED = "largest distance from the least-squares weight in an epoch, no rate"
_UPDATES = "updates on separable points, share of Novikoff's bound, largest"
_LEFT = "separable sets that still have errors"
_XOR_ERRORS = "errors on XOR, fewest in an epoch"
_XOR_REPEAT = "epoch after which the weights on XOR are those of an earlier epoch"
_TWO = "distance of two weights from the least-squares weights, largest"


@dataclass(frozen=True)
class PerceptronRun:
    """What the perceptron rule did.

    Attributes:
        weights: bias and weights at the start and after each update (updates + 1, 1 + inputs).
        errors: updates of each epoch; the last one is 0 if the rule settled.
        repeat: first epoch at whose end the weights are those of the end of an earlier epoch;
            None if there is none. From there on everything repeats.
    """

    weights: _Array
    errors: Sequence[int]
    repeat: int | None

    @property
    def settled(self) -> bool:
        """Whether an epoch passed without an error."""
        return self.errors[-1] == 0


def follow_weight(points: Sequence[_Point], rate: Fraction, epochs: int) -> list[Fraction]:
    """Return the weight of y = w x after each gradient step on one example, from 0.

    The step is w + rate (y - w x) x, the examples in their order. A rate of 1 is the printed step.

    Args:
        points: inputs and targets.
        rate: the learning rate.
        epochs: number of passes.

    Example:
        >>> [float(weight) for weight in follow_weight(POINTS, Fraction(1), 1)]
        [101.0, -299.2, 3377.9, 1.1]
    """
    weight, path = Fraction(0), []
    for _ in range(epochs):
        for x, y in points:
            weight += rate * (y - weight * x) * x
            path.append(weight)
    return path


def fit_weight(points: Sequence[_Point]) -> Fraction:
    """Return the weight of y = w x whose squared error is least."""
    return sum((x * y for x, y in points), Fraction(0)) / sum(
        (x * x for x, _ in points), Fraction(0)
    )


def follow_weights(x: _Array, y: _Array, rate: float, epochs: int) -> _Array:
    """Return the weights of a linear unit after each gradient step on one example, from 0.

    Args:
        x: inputs (examples, inputs).
        y: targets (examples,).
        rate: the learning rate.
        epochs: number of passes, in the order of the examples.

    Returns:
        The weights (1 + epochs * examples, inputs); the first ones are 0.
    """
    weights = np.zeros(x.shape[1])
    path = [weights]
    for _ in range(epochs):
        for one, target in zip(x, y, strict=True):
            weights = weights + rate * (target - weights @ one) * one
            path.append(weights)
    return np.array(path)


def apply_perceptron_rule(x: _Array, y: _Array, epochs: int) -> PerceptronRun:
    """Train a step unit by the perceptron rule, until an epoch has no error.

    An example counts as an error if the sign of the weighted sum is not its label; then label
    times input is added to the weights (Rosenblatt, 1958).

    Args:
        x: inputs (examples, inputs); a constant input of 1 is put before them, for the bias.
        y: labels -1 and 1 (examples,).
        epochs: largest number of passes.
    """
    inputs = _with_bias(x)
    weights = np.zeros(inputs.shape[1])
    path, errors, repeat = [weights], [], None
    seen: set[bytes] = set()
    for epoch in range(1, epochs + 1):
        updates = 0
        for one, label in zip(inputs, y, strict=True):
            if label * (weights @ one) <= 0:
                weights = weights + label * one
                path.append(weights)
                updates += 1
        errors.append(updates)
        if updates == 0:
            break
        if repeat is None and weights.tobytes() in seen:
            repeat = epoch
        seen.add(weights.tobytes())
    return PerceptronRun(np.array(path), errors, repeat)


def bound_updates(x: _Array, y: _Array, separator: _Array) -> float:
    """Return Novikoff's bound on the updates of the perceptron rule, (R / margin)^2.

    R is the largest norm of an input with its constant 1, the margin the smallest distance of one
    from a separating hyperplane (Novikoff, 'On convergence proofs for perceptrons', 1962).

    Args:
        x: inputs (examples, inputs).
        y: labels -1 and 1 (examples,).
        separator: bias and weights of a unit without errors (1 + inputs,).
    """
    inputs = _with_bias(x)
    margin = (y * (inputs @ separator)).min() / np.linalg.norm(separator)
    return float((np.linalg.norm(inputs, axis=1).max() / margin) ** 2)


def make_separable(seed: int, points: int = 60) -> tuple[_Array, _Array, _Array]:
    """Return points of a square, labelled by a random line, none within 0.1 of it.

    Returns:
        x (points, 2), labels -1 and 1 (points,), and bias and weights of the line (3,).
    """
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi)
    line = np.array([random.uniform(-0.4, 0.4), np.cos(angle), np.sin(angle)])
    x = random.uniform(-1, 1, (20 * points, 2))
    distance = _with_bias(x) @ line
    kept = np.flatnonzero(np.abs(distance) >= _MARGIN)[:points]
    return x[kept], np.sign(distance[kept]), line


def measure(bench: Bench) -> Measured:
    """Follow each rule step by step."""
    best = fit_weight(POINTS)
    printed = follow_weight(POINTS, Fraction(1), 5)
    rated = {rate: follow_weight(POINTS, rate, _RATE_EPOCHS) for rate in _RATES}
    two = [_follow_two(seed) for seed in range(bench.pick(toy=2, short=20, full=200))]
    runs = []
    for seed in range(bench.pick(toy=5, short=50, full=500)):
        x, y, line = make_separable(seed)
        run = apply_perceptron_rule(x, y, 10_000)
        runs.append((run, (len(run.weights) - 1) / bound_updates(x, y, line)))
    xor = apply_perceptron_rule(_XOR_X, _XOR_Y, _XOR_EPOCHS)
    return Measured(
        numbers={
            _PRINTED: Number(_largest_distance(printed, best)),
            **{_rate_number(rate): Number(_largest_distance(rated[rate], best)) for rate in _RATES},
            _TWO: Number(max(float(np.abs(path[-1] - least).max()) for path, least in two)),
            _LEFT: Number(sum(not run.settled for run, _ in runs)),
            _UPDATES: Number(max(share for _, share in runs)),
            _XOR_ERRORS: Number(min(xor.errors)),
            _XOR_REPEAT: Number(_XOR_EPOCHS + 1 if xor.repeat is None else xor.repeat),
            "least-squares weight": Number(float(best)),
            "weight after each epoch, no rate": Number(float(printed[-1])),
            "separable sets": Number(len(runs)),
            "most epochs on a separable set": Number(max(len(run.errors) for run, _ in runs)),
        },
        pictures=[
            _picture_weight(printed, rated, float(best)),
            _picture_rates(float(best)),
            _picture_two(*two[0]),
            _picture_lines(xor),
        ],
        notes=[
            "The step without a rate is followed in fractions, so that no rounding takes part. The "
            "last of the four points has x = 1, for which it sets the weight to that point's own "
            "y = 1.1, wherever the weight was; so each epoch after the first repeats the one "
            "before.",
            "With a constant rate the weight of single examples does not reach the least-squares "
            "weight itself: in each epoch it goes round a small circle next to it, which shrinks "
            "with the rate.",
        ],
    )


def _with_bias(x: _Array) -> _Array:
    return np.column_stack([np.ones(len(x)), x])


def _largest_distance(path: Sequence[Fraction], best: Fraction) -> float:
    """Return how far the weight is from the best one in the last epoch, at most."""
    return float(max(abs(weight - best) for weight in path[-len(POINTS) :]))


def _rate_number(rate: Fraction) -> str:
    return f"largest distance from the least-squares weight in an epoch, rate {float(rate):g}"


def _follow_two(seed: int) -> tuple[_Array, _Array]:
    """Return the path of two weights on 100 noisy examples, and the least-squares weights."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((100, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    y = x @ np.array([1.0, -2.0]) + random.normal(0, _TWO_NOISE, len(x))
    path = follow_weights(x, y, _TWO_RATE, _TWO_EPOCHS)
    return path, np.linalg.lstsq(x, y, rcond=None)[0]


def _picture_weight(
    printed: Sequence[Fraction], rated: Mapping[Fraction, Sequence[Fraction]], best: float
) -> Picture:
    return Picture(
        name="perceptron-weight",
        caption=(
            "The one weight after each example. Above, the step as it is printed, without a rate; "
            "below, with two rates. The grey line is the least-squares weight "
            f"{best:.4f}; mind the scales."
        ),
        alt=(
            "Without a rate the weight jumps between -297 and 27 for ever; with a rate it goes to "
            "the least-squares weight."
        ),
        svg=_draw_weight(printed, rated, best),
    )


@drawing
def _draw_weight(
    printed: Sequence[Fraction], rated: Mapping[Fraction, Sequence[Fraction]], best: float
) -> Figure:
    figure, (above, below) = new_figure(4.2, (1.0, 1.0))
    steps = len(POINTS) * 5
    above.plot(
        range(steps + 1), [0.0, *map(float, printed[:steps])], "-o", color=INK, ms=3.5, lw=1.2
    )
    above.set_yscale("symlog", linthresh=10, linscale=0.6)
    above.set_yticks([-1_000, -100, -10, 0, 10, 100, 1_000])
    above.set_ylabel("w, no rate")
    for color, (rate, path) in zip((ORANGE, BLUE), rated.items(), strict=True):
        shown = len(POINTS) * 15
        values = [0.0, *map(float, path[:shown])]
        below.plot(range(len(values)), values, color=color, lw=1.6, label=f"rate {float(rate):g}")
    below.legend(loc="lower right")
    below.set_ylabel("w, with a rate")
    below.set_xlabel("examples seen; four are an epoch")
    for axes in (above, below):
        axes.axhline(best, color=GREY, lw=1.0, ls="--", zorder=1)
    return figure


def _picture_rates(best: float) -> Picture:
    rates = np.geomspace(1e-4, 1, 400)
    distances = np.array([_final_distance(rate, best) for rate in rates])
    return Picture(
        name="perceptron-rates",
        caption=(
            "How far the weight is from the least-squares weight in the last of many epochs, at "
            "most, against the learning rate. The printed step is the point on the right; the "
            "dashed line is the rate 2 / x^2 of the point x = 10, beyond which its own step "
            "overshoots. Where nothing is drawn the weight grows without end."
        ),
        alt="The distance falls with the rate; beyond 0.02 the weight swings far or diverges.",
        svg=_draw_rates(rates, distances),
    )


def _final_distance(rate: float, best: float) -> float:
    """Return the largest distance in the periodic epoch; NaN if the weight diverges.

    An epoch is an affine map of the weight, whose fixed point is where the epochs repeat.
    """
    factor, offset = 1.0, 0.0
    points = [(float(x), float(y)) for x, y in POINTS]
    for x, y in points:
        factor, offset = (1 - rate * x * x) * factor, (1 - rate * x * x) * offset + rate * x * y
    if abs(factor) >= 1:
        return float("nan")
    weight, farthest = offset / (1 - factor), 0.0
    for x, y in points:
        weight += rate * (y - weight * x) * x
        farthest = max(farthest, abs(weight - best))
    return farthest


@drawing
def _draw_rates(rates: _Array, distances: _Array) -> Figure:
    figure, (axes,) = new_figure(2.6)
    axes.loglog(rates, distances, color=BLUE, lw=1.8)
    axes.plot(1, distances[-1], "o", color=INK, ms=6)
    axes.annotate(
        "as printed", (1, distances[-1]), (-8, -1), textcoords="offset points", ha="right"
    )
    axes.axvline(0.02, color=GREY, ls="--", lw=1.0)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("distance from least squares")
    return figure


def _picture_two(path: _Array, least: _Array) -> Picture:
    return Picture(
        name="perceptron-two-weights",
        caption=(
            "The path of two weights over their loss, whose lines of equal height are grey: one "
            f"point per example, at a rate of {_TWO_RATE:g}, from (0, 0) to the least-squares "
            "weights, the cross."
        ),
        alt="The path bends along the valley and ends at the cross.",
        svg=_draw_two(path, least),
    )


@drawing
def _draw_two(path: _Array, least: _Array) -> Figure:
    figure, (axes,) = new_figure(3.2)
    first, second = np.meshgrid(np.linspace(-0.6, 1.6, 80), np.linspace(-2.6, 0.4, 80))
    away = np.stack([first - least[0], second - least[1]])
    # The inputs' covariance of `_follow_two`; the noise adds a constant, which is left out.
    loss = away[0] ** 2 + 1.2 * away[0] * away[1] + away[1] ** 2
    axes.contour(first, second, loss, levels=np.geomspace(0.02, 8, 10), colors=PALE, linewidths=0.9)
    axes.plot(*path[:1_000].T, color=BLUE, lw=1.3)
    axes.plot(*least, "x", color=INK, ms=8, mew=2)
    axes.set_xlabel("w1")
    axes.set_ylabel("w2")
    axes.grid(False)
    return figure


def _picture_lines(xor: PerceptronRun) -> Picture:
    x, y, _ = make_separable(3)
    run = apply_perceptron_rule(x, y, 1_000)
    return Picture(
        name="perceptron-lines",
        caption=(
            "Lines of the step unit after its updates, from pale to dark. Above, separable points: "
            f"after {len(run.weights) - 1} updates no point is on the wrong side. Below, XOR: "
            "the same few lines come back for ever, each with at least one error."
        ),
        alt="On separable points the last line separates; on XOR no line does.",
        svg=_draw_lines(x, y, run, xor),
    )


@drawing
def _draw_lines(x: _Array, y: _Array, run: PerceptronRun, xor: PerceptronRun) -> Figure:
    figure, (above, below) = new_figure(5.6, (1.0, 1.0))
    _draw_unit(above, x, y, run.weights[-12:], 1.1, settled=True)
    _draw_unit(below, _XOR_X, _XOR_Y, xor.weights[-12:], 1.7, settled=False)
    legend_above(
        figure,
        [
            Line2D([], [], color=color, marker="o", lw=0, label=name)
            for color, name in ((BLUE, "label 1"), (ORANGE, "label -1"))
        ],
    )
    return figure


def _draw_unit(
    axes: Axes, x: _Array, y: _Array, weights: _Array, half: float, settled: bool
) -> None:
    ends = np.array([-2 * half, 2 * half])
    for place, (bias, *normal) in enumerate(weights):
        norm = float(np.hypot(*normal))
        if norm == 0:
            continue
        along = np.array([-normal[1], normal[0]]) / norm
        foot = -bias * np.asarray(normal) / norm**2
        last = settled and place == len(weights) - 1
        axes.plot(
            foot[0] + ends * along[0],
            foot[1] + ends * along[1],
            color=INK if last else GREY,
            alpha=1.0 if last else 0.15 + 0.6 * place / len(weights),
            lw=2.0 if last else 1.0,
        )
    for label, color in ((1, BLUE), (-1, ORANGE)):
        axes.plot(*x[y == label].T, "o", color=color, ms=5, mec="white", mew=0.6)
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axes.grid(False)


EXPERIMENT = LectureExperiment(
    name="perceptron",
    title="The smallest perceptrons",
    source=(
        "Neural Networks, 'Code to train your perceptron', 'World's smallest perceptron', 'World's "
        "(second) smallest perceptron' and 'Gradient Update'; Columbia, Optimization II, "
        "'Necessity of multiple layers'"
    ),
    claim=(
        "One line of code, the gradient step on one example, trains the smallest perceptron; a "
        "step unit learns whatever a line separates, and nothing else"
    ),
    rules=[
        Rule(
            claim="the step w + (y - w x) x, as printed, brings the weight next to least squares",
            place="Neural Networks, 'Code to train your perceptron'",
            conditions=[Condition(_PRINTED, at_most=0.05)],
            reason=(
                "the four points' own slopes y / x lie up to 0.1 from the least-squares slope; a "
                "fit of all four must be nearer than each of them, so half of that"
            ),
        ),
        Rule(
            claim="with a learning rate it gets there, and the nearer the smaller the rate",
            place="Neural Networks, 'Gradient Update'",
            conditions=[
                Condition(_rate_number(_RATES[0]), at_most=0.05),
                Condition(_rate_number(_RATES[1]), at_most=0.005),
            ],
            reason=(
                "the threshold of the printed step, and a tenth of it for a tenth of the rate, "
                "because what is left is proportional to a small rate"
            ),
        ),
        Rule(
            claim="two weights are trained by the same step, one line for each",
            place="Neural Networks, 'World's (second) smallest perceptron'",
            conditions=[Condition(_TWO, at_most=0.05)],
            reason="half of the noise of the targets, whose standard deviation is 0.1",
        ),
        Rule(
            claim="the perceptron rule settles on separable points, within Novikoff's bound",
            place="Neural Networks, 'Perceptron'",
            conditions=[Condition(_LEFT, at_most=0), Condition(_UPDATES, at_most=1)],
            reason="the theorem: at most (R / margin)^2 updates, with any separating line's margin",
        ),
        Rule(
            claim="it never settles on XOR, which no line separates",
            place="Columbia, Optimization II, 'Necessity of multiple layers'",
            conditions=[
                Condition(_XOR_ERRORS, at_least=1),
                Condition(_XOR_REPEAT, at_most=_XOR_EPOCHS),
            ],
            reason=(
                "each epoch has an error, and once the weights return to those of an earlier epoch "
                "all epochs repeat, which proves the rest; 1,000 epochs are followed"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "Put the point with x = 1 first in POINTS: where does the printed step end an epoch then?",
        "Set _MARGIN to 0.01: the bound grows a hundredfold, and the updates?",
        "assay new two-layers --data xor, then assay run two-layers.toml: two layers do it.",
    ),
)
