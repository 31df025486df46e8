"""Backpropagation by hand equals the gradients of Keras, and costs no more than two passes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from assay.experiments.lectures.backpropagation import (
    ACTIVATIONS,
    BackwardPass,
    ForwardPass,
    Tally,
    make_problem,
    run_backward,
    run_forward,
    run_tangent,
)
from assay.experiments.lectures.bench import Bench
from assay.experiments.lectures.diagrams import UnitColumn, draw_units, hide_axes
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    drawing,
    legend_above,
    new_figure,
)
from assay.models.analysis.gradients import (
    Array,
    GradientProblem,
    Loss,
    compute_gradients,
    installed_backends,
)

_EXAMPLES = 16
_COST_EXAMPLES = 256
"""So many that products of matrices take the time, not reading the weights from memory."""

_STEPS = 10.0 ** np.arange(-13, 0.5, 0.5)
_REPEATS = 20

# The figure with the weights is lost; these give all numbers that the slides print.
_DECK_WEIGHTS = [
    np.array(one, np.float64)
    for one in (
        [[1, -1], [-2, 1]],
        [1, 0],
        [[2, -2], [-1, -1]],
        [0, 0],
        [[3, -1], [-1, 4]],
        [-2, 2],
    )
]
_DECK_OUTPUTS = {(1.0, -1.0): (0.62, 0.83), (0.0, 0.0): (0.51, 0.85)}
_DECK_FIRST_LAYER = (0.98, 0.12)
"""Of the input (1, -1)."""


def measure(bench: Bench) -> Measured:
    """Compare the derivatives of all networks, and measure what they cost."""
    problems = _choose_problems(bench)
    graph = problems["2-3-3-1, sigmoid, its output"]
    chain = problems["chain of 4 units, tanh, its output"]
    bench.say(f"backprop-by-hand: {len(problems)} networks on each backend")
    backends = installed_backends()
    errors = _compare_with_keras(
        problems, bench.pick(toy=backends[:1], short=backends, full=backends)
    )
    central, forward = measure_differences(graph)
    widths = bench.pick(
        toy=(64, 128, 256), short=(256, 512, 1024), full=(256, 512, 1024, 2048, 4096)
    )
    bench.say(f"backprop-by-hand: passes of networks with up to {widths[-1]} units a layer")
    costs = [_measure_cost(width) for width in widths]
    weights, seconds = (np.array([cost[place] for cost in costs]) for place in (0, 2))
    exponent = np.polyfit(np.log(weights), np.log(seconds), 1)[0]
    parameters, ratio, tangent_error = measure_forward_mode(graph)
    return Measured(
        numbers={
            "largest relative difference from Keras": Number(
                max(error for found in errors.values() for error in found.values())
            ),
            "smallest error of central differences": Number(float(central.min())),
            "step of the smallest error": Number(float(_STEPS[central.argmin()])),
            "largest difference from the printed numbers": Number(measure_deck()),
            "relative difference of the chain's product": Number(measure_chain(chain)),
            "most multiplications per weight and example": Number(max(cost[1] for cost in costs)),
            "time grows as this power of the weights": Number(float(exponent)),
            "multiplications of forward mode over those of backpropagation, 25 parameters": Number(
                ratio
            ),
            "relative difference of forward mode": Number(tangent_error),
            "passes of forward mode for the same derivatives": Number(parameters),
        },
        pictures=[
            _build_graph_picture(graph),
            _build_error_picture(central, forward),
            _build_cost_picture(weights, seconds, float(exponent)),
        ],
        tables=[
            Table(
                "Norm of the difference from Keras' gradient, over the norm of that gradient.",
                columns("network and loss", *(f"#{name}" for name in errors)),
                [[name, *(f"{found[name]:.1e}" for found in errors.values())] for name in problems],
                stacked=True,
            )
        ],
        notes=[
            "Keras computes in float64 too. On JAX it computes a few operations, such as tanh and "
            "the mean of a loss, in float32, which the differences there show.",
            f"Times are the fastest of {_REPEATS} on this machine, forward and backward pass of "
            f"{_COST_EXAMPLES} examples together.",
        ],
    )


def _choose_problems(bench: Bench) -> Mapping[str, GradientProblem]:
    losses: Mapping[Loss, int] = {"binary_cross_entropy": 1, "cross_entropy": 3, "squared_error": 2}
    pairs = [(activation, loss) for activation in ("sigmoid", "tanh", "relu") for loss in losses]
    chosen = bench.pick(toy=pairs[::4], short=pairs, full=pairs)
    problems = {
        f"4-5-3-{losses[loss]}, {activation}, {loss.replace('_', ' ')}": make_problem(
            (4, 5, 3, losses[loss]), activation, loss, examples=_EXAMPLES, seed=0
        )
        for activation, loss in chosen
    }
    graph = make_problem(
        (2, 3, 3, 1), "sigmoid", "output", examples=1, seed=4, output_activation="sigmoid"
    )
    problems["2-3-3-1, sigmoid, its output"] = replace(graph, x=np.array([[1.0, -0.5]]))
    problems["chain of 4 units, tanh, its output"] = make_problem(
        (1, 1, 1, 1, 1), "tanh", "output", examples=1, seed=1, output_activation="tanh"
    )
    return problems


def _differentiate(problem: GradientProblem) -> Array:
    return _flatten(run_backward(problem, run_forward(problem)).gradients)


def _flatten(arrays: Sequence[Array]) -> Array:
    return np.concatenate([one.ravel() for one in arrays])


def _relative(found: Array, right: Array) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def _compare_with_keras(
    problems: Mapping[str, GradientProblem], backends: Sequence[str]
) -> Mapping[str, Mapping[str, float]]:
    """Return the relative difference of each gradient, by backend and network."""
    asked = list(problems.values())
    with ThreadPoolExecutor(len(backends)) as pool:
        found = pool.map(lambda name: compute_gradients(asked, name), backends)
        return {
            backend: {
                name: _relative(_differentiate(problem), _flatten(gradients))
                for (name, problem), gradients in zip(problems.items(), answers, strict=True)
            }
            for backend, answers in zip(backends, found, strict=True)
        }


def measure_differences(problem: GradientProblem) -> tuple[Array, Array]:
    """Return the relative errors of central and one-sided differences for each of the steps."""
    right = _differentiate(problem)
    here = run_forward(problem).loss
    central, one_sided = [], []
    for step in _STEPS:
        above = np.array([_loss_beside(problem, place, step) for place in range(right.size)])
        below = np.array([_loss_beside(problem, place, -step) for place in range(right.size)])
        central.append(_relative((above - below) / (2 * step), right))
        one_sided.append(_relative((above - here) / step, right))
    return np.array(central), np.array(one_sided)


def _loss_beside(problem: GradientProblem, place: int, change: float) -> float:
    """Return the loss with one parameter changed, counted through all arrays."""
    weights = [weight.copy() for weight in problem.weights]
    for weight in weights:
        if place < weight.size:
            weight.flat[place] += change
            break
        place -= weight.size
    return run_forward(replace(problem, weights=weights)).loss


def measure_deck() -> float:
    """Return the largest difference of the worked example from what its slides print."""
    x = np.array(list(_DECK_OUTPUTS), np.float64)
    problem = GradientProblem(_DECK_WEIGHTS, ["sigmoid"] * 3, "output", x, np.zeros((2, 2)))
    values = run_forward(problem).values
    outputs = np.abs(values[-1] - np.array(list(_DECK_OUTPUTS.values())))
    first = np.abs(values[1][0] - np.array(_DECK_FIRST_LAYER))
    return float(max(outputs.max(), first.max()))


def measure_chain(problem: GradientProblem) -> float:
    """Return the relative difference of backpropagation from the product over a chain.

    The derivative of the last unit by z_i is the product of s'(z_k) of all units from i on, and of
    the weights between them.
    """
    forward = run_forward(problem)
    slopes = np.array(
        [
            ACTIVATIONS[name][1](total).item()
            for name, total in zip(problem.activations, forward.sums, strict=True)
        ]
    )
    weights = np.array([kernel.item() for kernel in problem.weights[::2]])
    products = np.array(
        [slopes[place:].prod() * weights[place + 1 :].prod() for place in range(len(slopes))]
    )
    deltas = np.array([delta.item() for delta in run_backward(problem, forward).deltas])
    return _relative(deltas, products)


def _measure_cost(width: int) -> tuple[int, float, float]:
    """Return weights, multiplications per weight and example, and seconds of both passes."""
    problem = make_problem(
        (width, width, width, 10), "relu", "cross_entropy", examples=_COST_EXAMPLES, seed=0
    )
    weights = sum(kernel.size for kernel in problem.weights[::2])
    tally = Tally()
    run_backward(problem, run_forward(problem, tally), tally)
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run_backward(problem, run_forward(problem))
        times.append(time.perf_counter() - start)
    return weights, tally.multiplications / weights / _COST_EXAMPLES, min(times)


def measure_forward_mode(problem: GradientProblem) -> tuple[int, float, float]:
    """Differentiate by one parameter at a time, from front to back.

    Returns:
        The number of parameters, the multiplications over those of backpropagation, and the
        relative difference of the derivatives.
    """
    backward, tangents = Tally(), Tally()
    run_backward(problem, run_forward(problem, backward), backward)
    derivatives = []
    for array in range(len(problem.weights)):
        for place in range(problem.weights[array].size):
            direction = [np.zeros_like(weight) for weight in problem.weights]
            direction[array].flat[place] = 1.0
            derivatives.append(run_tangent(problem, direction, tangents))
    return (
        len(derivatives),
        tangents.multiplications / backward.multiplications,
        _relative(np.array(derivatives), _differentiate(problem)),
    )


def _build_graph_picture(problem: GradientProblem) -> Picture:
    forward = run_forward(problem)
    backward = run_backward(problem, forward)
    output = forward.values[-1].item()
    return Picture(
        name="backprop-by-hand-graph",
        caption=(
            "Forward and backward pass of the lecture's network with sigmoid units. In a circle "
            "stands the value of its node z, and below it the derivative of the output by what "
            "comes before its activation. On an edge stand its weight (black) and the derivative "
            "by it (orange): the value to its left times the derivative to its right. An edge is "
            "as wide as its derivative is large; blue ones are positive, red ones negative."
        ),
        alt=(
            f"The inputs give {output:.3f}; derivatives shrink from the output to the inputs, "
            "because each layer multiplies them by a slope of at most a quarter."
        ),
        svg=_draw_graph(problem, forward, backward),
        numbers=_list_deltas(forward, backward),
    )


_NODES = (("a", "b"), ("c", "d", "e"), ("f", "g", "h"), ("z",))


def _list_deltas(forward: ForwardPass, backward: BackwardPass) -> Table:
    rows = [
        [name, f"{total:.4f}", f"{value:.4f}", f"{delta:.5f}"]
        for names, totals, values, deltas in zip(
            _NODES[1:], forward.sums, forward.values[1:], backward.deltas, strict=True
        )
        for name, total, value, delta in zip(names, totals[0], values[0], deltas[0], strict=True)
    ]
    return Table(
        "The nodes of the network.",
        columns("node", "#before activation", "#value", "#derivative of the output by it"),
        rows,
    )


@drawing
def _draw_graph(problem: GradientProblem, forward: ForwardPass, backward: BackwardPass) -> Figure:
    figure, (axes,) = new_figure(4.3)
    placed = [
        UnitColumn(1.02 * index, (len(names) - 1) / 2.0 - np.arange(len(names), dtype=float), False)
        for index, names in enumerate(_NODES)
    ]
    largest = max(np.abs(kernel).max() for kernel in backward.gradients[::2])
    for index, (left, right) in enumerate(itertools.pairwise(placed)):
        # A quarter of the way the labels of two or three fans are at equal distances.
        fraction = 0.4 if len(right.y) == 1 else 0.25
        for row, start in enumerate(left.y):
            for place, end in enumerate(right.y):
                weight = problem.weights[2 * index][row, place]
                derivative = backward.gradients[2 * index][row, place]
                axes.plot(
                    [left.x, right.x],
                    [start, end],
                    color=BLUE if derivative > 0 else VERMILLION,
                    alpha=0.55,
                    lw=0.5 + 4.0 * abs(derivative) / largest,
                    zorder=1,
                )
                x = left.x + fraction * (right.x - left.x) + 0.06
                y = start + fraction * (end - start)
                _write_edge(axes, x, y, weight, derivative)
    draw_units(axes, placed, radius=0.145)
    for index, (names, column) in enumerate(zip(_NODES, placed, strict=True)):
        for place, (name, y) in enumerate(zip(names, column.y, strict=True)):
            value = forward.values[index][0, place]
            axes.text(
                column.x, y, _format(value, 2), ha="center", va="center", fontsize=8, zorder=4
            )
            axes.text(column.x, y + 0.17, name, ha="center", fontsize=8.5, color=GREY)
            if index:
                delta = backward.deltas[index - 1][0, place]
                text = _format(delta, 4)
                axes.text(column.x, y - 0.18, text, ha="center", va="top", fontsize=8, color=ORANGE)
    hide_axes(axes)
    axes.set_xlim(-0.25, placed[-1].x + 0.3)
    axes.set_ylim(-1.33, 1.28)
    return figure


def _write_edge(axes: Axes, x: float, y: float, weight: float, derivative: float) -> None:
    box = {"fc": "white", "ec": "none", "pad": 0.4, "alpha": 0.85}
    axes.text(
        x, y + 0.005, _format(weight, 2), ha="center", va="bottom", fontsize=6.5, bbox=box, zorder=2
    )
    axes.text(
        x,
        y - 0.005,
        _format(derivative, 4),
        ha="center",
        va="top",
        fontsize=6.5,
        color=ORANGE,
        bbox=box,
        zorder=2,
    )


def _format(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0.0 makes -0.0 positive


def _build_error_picture(central: Array, one_sided: Array) -> Picture:
    return Picture(
        name="backprop-by-hand-differences",
        caption=(
            "Relative error of finite differences against their step. To the right the series is "
            "cut off too early: the error grows as the step (one-sided) or its square (central). "
            "To the left losses are subtracted that agree in nearly all digits: the error grows as "
            "one over the step. Thin lines have these slopes."
        ),
        alt=(
            f"Central differences are best at a step of {_STEPS[central.argmin()]:.0e}, with an "
            f"error of {central.min():.1e}; one-sided ones at {_STEPS[one_sided.argmin()]:.0e}, "
            f"with {one_sided.min():.1e}."
        ),
        svg=_draw_errors(central, one_sided),
    )


@drawing
def _draw_errors(central: Array, one_sided: Array) -> Figure:
    figure, (axes,) = new_figure(3.3)
    precision = float(np.finfo(np.float64).eps)
    axes.plot(_STEPS, precision / _STEPS, color=GREY, lw=0.7, ls=":")
    axes.plot(_STEPS, one_sided[-4] * _STEPS / _STEPS[-4], color=GREY, lw=0.7, ls=":")
    axes.plot(_STEPS, central[-4] * (_STEPS / _STEPS[-4]) ** 2, color=GREY, lw=0.7, ls=":")
    axes.plot(_STEPS, one_sided, "o-", color=ORANGE, ms=3.5, lw=1.4)
    axes.plot(_STEPS, central, "o-", color=BLUE, ms=3.5, lw=1.4)
    axes.set(xscale="log", yscale="log", xlabel="step", ylabel="relative error", ylim=(1e-12, 10))
    legend_above(
        figure,
        [
            Line2D([], [], color=BLUE, marker="o", ms=3.5, label="central difference"),
            Line2D([], [], color=ORANGE, marker="o", ms=3.5, label="one-sided difference"),
        ],
    )
    return figure


def _build_cost_picture(weights: Array, seconds: Array, exponent: float) -> Picture:
    return Picture(
        name="backprop-by-hand-cost",
        caption=(
            f"Time of a forward and a backward pass of {_COST_EXAMPLES} examples against the "
            "number of weights, both on logarithmic scales. The thin line is proportional to the "
            "number of weights, through the last point."
        ),
        alt=f"The time grows as the power {exponent:.2f} of the number of weights.",
        svg=_draw_costs(weights, seconds),
        numbers=Table(
            "Time by size.",
            columns("#weights", "#milliseconds"),
            [
                [f"{int(count):,}", f"{1e3 * one:.3g}"]
                for count, one in zip(weights, seconds, strict=True)
            ],
        ),
    )


@drawing
def _draw_costs(weights: Array, seconds: Array) -> Figure:
    figure, (axes,) = new_figure(2.8)
    axes.plot(weights, 1e3 * seconds[-1] * weights / weights[-1], color=GREY, lw=0.8, ls=":")
    axes.plot(weights, 1e3 * seconds, "o-", color=BLUE, ms=4.5, lw=1.4, mec="white", mew=0.6)
    axes.set(xscale="log", yscale="log", xlabel="thousands of weights", ylabel="milliseconds")
    axes.set_xticks(weights, [f"{count / 1e3:,.0f}" for count in weights])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_ylim(10 ** np.floor(np.log10(1e3 * seconds.min())), 3e3 * seconds.max())
    axes.text(
        weights[-1], 1e3 * seconds[-1], f"{1e3 * seconds[-1]:.3g} ms  ", ha="right", color=INK
    )
    return figure


EXPERIMENT = LectureExperiment(
    name="backprop-by-hand",
    title="Backpropagation by hand",
    source=(
        "NYU Tandon CS-UY 4563 lecture 16, 'Backprop example' and 'Backprop linear algebra'; OSU "
        "ECE 5307 unit 8, 'Summary of forward and backward passes'; Columbia, Optimization II, "
        "'Backpropagation'; 'Neural Networks', 'Example of Neural Network'"
    ),
    claim=(
        "Backpropagation gives the derivatives of a feedforward network by all weights and biases, "
        "by matrix products from back to front, in a time that is linear in its size"
    ),
    rules=[
        Rule(
            claim="the derived formulas give the gradients that Keras computes, on every backend",
            place="NYU lecture 16, 'Backprop linear algebra', claims 1 and 2, and OSU unit 8",
            conditions=[Condition("largest relative difference from Keras", at_most=1e-6)],
            reason=(
                "ten roundings of float32, in which Keras computes some operations; a sign, a "
                "transpose or a factor that is wrong makes a difference of the order of 1"
            ),
        ),
        Rule(
            claim="finite differences come as close to these derivatives as rounding lets them",
            place="NYU lecture 16, 'Backprop example', takeaways",
            conditions=[
                Condition("smallest error of central differences", at_most=1e-8),
                Condition("step of the smallest error", at_least=5e-7, at_most=1e-4),
            ],
            reason=(
                "with a precision of 2.2e-16 the best step is near its third root, 6e-6, and the "
                "error there near 4e-11; a factor of about ten for the step and of a few hundred "
                "for the error, since both depend on the third derivatives"
            ),
        ),
        Rule(
            claim="the worked example has the outputs that the slides print",
            place="'Neural Networks', 'Example of Neural Network' and 'Matrix Operation'",
            conditions=[Condition("largest difference from the printed numbers", at_most=0.005)],
            reason="the slides print two decimals, so half of the second one",
        ),
        Rule(
            claim="in a chain a derivative is the product of the slopes and weights behind it",
            place="Columbia, 'Example: chain graph (2)'",
            conditions=[Condition("relative difference of the chain's product", at_most=1e-14)],
            reason="a product of seven factors in float64 has some ten roundings of 2.2e-16",
        ),
        Rule(
            claim="both passes take a time that is linear in the size of the network",
            place="Columbia, 'Backpropagation'",
            conditions=[
                Condition("most multiplications per weight and example", at_most=3),
                Condition("time grows as this power of the weights", at_least=0.8, at_most=1.2),
            ],
            reason=(
                "a weight is used once forward, once for its own derivative and once for those "
                "before it; the power is 1 if the time is linear, and a fifth is left for caches"
            ),
        ),
        Rule(
            claim="one pass gives all derivatives, where forward mode needs one for each parameter",
            place="Columbia, 'Derivative of output with respect to hidden units'",
            conditions=[
                Condition(
                    "multiplications of forward mode over those of backpropagation, 25 parameters",
                    at_least=25 / 3,
                ),
                Condition("relative difference of forward mode", at_most=1e-13),
            ],
            reason=(
                "each of 25 passes uses each weight at least once, backpropagation at most three "
                "times; both compute the same numbers, but for hundreds of roundings of 2.2e-16"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "In experiments/lectures/backpropagation.py leave out .T in 'delta, kernel.T': a layer "
        "of 3 x 3 weights is wrong then, other shapes are errors. Why does the chain not notice?",
        'Add "softplus": (lambda z: np.logaddexp(0.0, z), sigmoid) to ACTIVATIONS and to the '
        "activations in _choose_problems: the table has three more rows.",
        "assay lectures backprop-by-hand --full: networks of up to 4,096 units a layer.",
    ),
)
