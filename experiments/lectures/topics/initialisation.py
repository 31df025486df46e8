"""Equal, small and scaled initial weights, and what preparing the inputs saves and costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits

from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, compare, to_number
from assay.experiments.lectures.dense_network import (
    ACTIVATIONS,
    Array,
    Layer,
    backpropagate,
    initialize,
    propagate,
)
from assay.experiments.lectures.drawing import draw_curves, plot_seeds
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import (
    BLUE,
    INK,
    ORANGE,
    PURPLE,
    SERIES,
    drawing,
    new_figure,
)

_SEEDS = 5
_HIDDEN, _STEPS, _RATE = 8, 500, 1.0
"""Of the herd: hidden units, steps of gradient descent, and its rate."""

_WIDTH, _DEPTH, _EXAMPLES = 200, 20, 200
_NEAR = 0.01
"""Excess of the squared error over the least one, in shares of that at the start."""

_SCHEMES: Mapping[str, tuple[str, str, str]] = {
    "tanh, LeCun": ("tanh", "lecun", PURPLE),
    "tanh, Glorot": ("tanh", "glorot", ORANGE),
    "ReLU, He": ("relu", "he", BLUE),
    "ReLU, LeCun": ("relu", "lecun", INK),
}
_WIDTHS = (200, 300)
"""Of the layers in turn, so that fan-in and fan-out differ."""

_EQUAL = "largest difference between hidden units that begin equal, any step"
_GROWTH = "difference between hidden units that begin small and random, end over start"
_EQUAL_ACCURACY = "training accuracy on XOR, equal weights"
_RANDOM_ACCURACY = "training accuracy on XOR, small random weights"
_ZERO_TEST = "test accuracy on MNIST, weights of 0"
_HE_GAIN = "test accuracy on MNIST, He minus small random weights"
_COST = "seconds of decorrelating, in seconds of standardising"

_NETWORKS = """
title = "Initial weights of a deep network on MNIST"
source = "Fraida Fund, 'Herd effect'; Columbia, Optimization II, 'Practical issues I'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "mlp"
hidden_units = 64
hidden_layers = 6

[train]
epochs = {epochs}
batch_size = 100
learning_rate = 1e-3

[space]
initializer = ["zeros", "random_normal", "he_normal"]

[[baseline]]
initializer = "zeros"

[[baseline]]
initializer = "random_normal"

[[baseline]]
initializer = "he_normal"
"""


@dataclass(frozen=True)
class Descent:
    """Gradient descent of a network with one hidden layer on XOR.

    Attributes:
        kernels: hidden kernel before each step and at the end (steps + 1, 2, units).
        ratios: norm of each step's update of the hidden kernel over that of the kernel (steps,);
            NaN where the kernel is 0.
        accuracy: share of the training points that are classified correctly at the end.
    """

    kernels: Array
    ratios: Array
    accuracy: float

    @property
    def spread(self) -> Array:
        """Largest difference of a weight between two hidden units, by step (steps + 1,)."""
        return np.asarray(np.ptp(self.kernels, axis=2).max(axis=1))


def descend(layers: Sequence[Layer], steps: int = _STEPS, rate: float = _RATE) -> Descent:
    """Train a network of tanh units on four clusters (XOR) by the full gradient.

    Args:
        layers: hidden layer of 2 inputs, and output layer of 2 outputs.
        steps: number of steps.
        rate: the learning rate.
    """
    random = np.random.default_rng(0)
    centers = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]]).repeat(50, axis=0)
    x = centers + random.normal(0, 0.3, centers.shape)
    labels = np.array([0, 1]).repeat(100)
    current, kernels, ratios = list(layers), [layers[0][0]], []
    for _ in range(steps):
        gradients = backpropagate(current, "tanh", x, labels).gradients
        current = [
            (kernel - rate * by_kernel, bias - rate * by_bias)
            for (kernel, bias), (by_kernel, by_bias) in zip(current, gradients, strict=True)
        ]
        size = np.linalg.norm(kernels[-1])
        update = rate * np.linalg.norm(gradients[0][0])
        ratios.append(update / size if size > 0 else np.nan)
        kernels.append(current[0][0])
    found = propagate(current, "tanh", x).sums[-1].argmax(axis=1)
    return Descent(np.array(kernels), np.array(ratios), float((found == labels).mean()))


def equal_layers(kernel: float, output: float) -> list[Layer]:
    """Return a network whose hidden units all have the same weights."""
    return [
        (np.full((2, _HIDDEN), kernel) * [[1.0], [2.0]], np.zeros(_HIDDEN)),
        (np.full((_HIDDEN, 2), output) * [[1.0, -1.0]], np.zeros(2)),
    ]


def small_layers(seed: int) -> list[Layer]:
    """Return a network with weights of a tenth of LeCun's."""
    return initialize([2, _HIDDEN, 2], "lecun", np.random.default_rng(seed), gain=0.1)


def activation_squares(activation: str, scheme: str, seed: int) -> Array:
    """Return the mean square of the outputs of each hidden layer at the start (layers,).

    Args:
        activation: of the hidden units.
        scheme: of the initial weights.
        seed: of weights and standard normal inputs.
    """
    random = np.random.default_rng(seed)
    sizes = [_WIDTHS[place % 2] for place in range(_DEPTH + 1)]
    layers = initialize(sizes, scheme, random)
    forward = propagate(layers, activation, random.standard_normal((_EXAMPLES, sizes[0])))
    compute = ACTIVATIONS[activation].compute
    return np.array([np.square(compute(one)).mean() for one in forward.sums])


def standardize(x: Array) -> Array:
    """Return features (examples, features) with mean 0 and variance 1."""
    scaled: Array = (x - x.mean(axis=0)) / x.std(axis=0)
    return scaled


def decorrelate(x: Array) -> Array:
    """Return features with mean 0, variance 1 and covariance 0, along the principal axes.

    Args:
        x: (examples, features), of full rank.
    """
    centered = x - x.mean(axis=0)
    variances, axes = np.linalg.eigh(centered.T @ centered / len(x))
    turned: Array = centered @ axes / np.sqrt(variances)
    return turned


def excess_errors(x: Array, y: Array, steps: Sequence[int]) -> Array:
    """Return how far gradient descent is from least squares after some steps.

    Of a linear unit with bias from weights 0, at the rate 1 / (largest eigenvalue of X^T X / n),
    which no stable rate exceeds by more than a factor of 2. On the axes of X^T X the error falls by
    (1 - rate eigenvalue)^2 in each step, so no step is carried out.

    Args:
        x: features (examples, features).
        y: targets (examples, outputs).
        steps: after how many steps.

    Returns:
        Squared error minus the least one, in shares of that at the start (len(steps),).
    """
    inputs = np.column_stack([np.ones(len(x)), x])
    values, axes = np.linalg.eigh(inputs.T @ inputs / len(x))
    # The least-squares weights on these axes, and what each adds to the error at the start.
    projected = axes.T @ (inputs.T @ y / len(x))
    parts = np.square(projected).sum(axis=1) / values
    shrink = 1 - values / values.max()
    left = np.square(shrink ** np.asarray(steps)[:, np.newaxis]) @ parts
    return np.asarray(left / parts.sum())


def count_steps(x: Array, y: Array, near: float = _NEAR) -> int:
    """Return the number of steps after which `excess_errors` is at most `near`."""
    high = 1
    while excess_errors(x, y, [high])[0] > near:
        high *= 2
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if excess_errors(x, y, [middle])[0] <= near else (middle + 1, high)
        )
    return high


def measure(bench: Bench) -> Measured:
    """Follow hidden units, variances and errors from the start; train from three starts."""
    equal, zero = descend(equal_layers(0.1, 0.1)), descend(equal_layers(0.0, 0.0))
    small = [descend(small_layers(seed)) for seed in range(_SEEDS)]
    squares = {
        name: np.array([activation_squares(*one[:2], seed) for seed in range(_SEEDS)])
        for name, one in _SCHEMES.items()
    }
    inputs, targets = _load_digits()
    steps = {name: count_steps(x, targets) for name, x in inputs.items()}
    text = _NETWORKS.format(
        images=bench.pick(toy=500, short=6_000, full=50_000),
        epochs=bench.pick(toy=2, short=6, full=10),
    )
    trained = bench.train("initialisation", text, bench.pick(toy=3, short=5, full=5))
    networks = {
        name: trained.find(initializer=initializer)
        for name, initializer in (
            ("zeros", "zeros"),
            ("small random", "random_normal"),
            ("He", "he_normal"),
        )
    }
    last = [one.ratios[-1] for one in small]
    return Measured(
        numbers={
            _EQUAL: Number(max(equal.spread.max(), zero.spread.max())),
            _EQUAL_ACCURACY: Number(equal.accuracy),
            _GROWTH: to_number(mean_interval([one.spread[-1] / one.spread[0] for one in small])),
            _RANDOM_ACCURACY: to_number(mean_interval([one.accuracy for one in small])),
            **{
                _square(name): to_number(
                    mean_interval([(one[-1] / one[0]) ** (1 / (_DEPTH - 1)) for one in found])
                )
                for name, found in squares.items()
            },
            _saving("standardised", "raw"): Number(steps["standardised"] / steps["raw"]),
            _saving("decorrelated", "standardised"): Number(
                steps["decorrelated"] / steps["standardised"]
            ),
            _COST: Number(_time(decorrelate, bench) / _time(standardize, bench)),
            _ZERO_TEST: networks["zeros"].test,
            _HE_GAIN: compare(networks)["He", "small random"],
            **{f"steps, {name} inputs": Number(count) for name, count in steps.items()},
            "training accuracy on XOR, weights of 0": Number(zero.accuracy),
            "update over weight, first step": to_number(
                mean_interval([one.ratios[0] for one in small])
            ),
            "update over weight, last step": to_number(mean_interval(last)),
        },
        pictures=[
            _picture_herd(equal, small[0]),
            _picture_squares(squares),
            _picture_steps(inputs, targets),
            _picture_ratio(small),
            draw_curves(
                "initialisation-training",
                {
                    "accuracy, new images": {
                        name: one.curve("val_accuracy") for name, one in networks.items()
                    },
                    "loss": {name: one.curve("loss") for name, one in networks.items()},
                },
                "Six hidden layers of ReLU units, from three starts: accuracy on images that were "
                "not trained on, and loss, by epoch; mean over the seeds, and a band from the "
                "lowest to the highest.",
                "From zeros nothing is learned; from He's weights more than from small ones.",
            ),
        ],
        notes=[
            "'Small random' weights of the trained networks are Keras' random_normal, with a "
            "standard deviation of 0.05; He's for 64 inputs have 0.18.",
            "Glorot's variance lies between that for the way forward, 1 / fan-in, and that for the "
            f"way back, 1 / fan-out; layers of {_WIDTHS[0]} and {_WIDTHS[1]} units alternate here.",
            "Steps are those of gradient descent on the squared error of a linear unit per class "
            f"of scikit-learn's digits, until {_NEAR:.0%} of the avoidable error is left.",
        ],
        studies=[trained.name],
    )


def _square(name: str) -> str:
    return f"factor of the mean square per layer, {name}"


def _saving(first: str, second: str) -> str:
    return f"steps, {first} inputs, in steps of {second} inputs"


def _load_digits() -> tuple[Mapping[str, Array], Array]:
    """Return the digits' pixels as they are and prepared, and their classes as 0 and 1."""
    x, labels = load_digits(return_X_y=True)
    x = x[:, (x > 0).sum(axis=0) >= 20]  # pixels that are 0 in nearly all images have no variance
    inputs = {"raw": x, "standardised": standardize(x), "decorrelated": decorrelate(x)}
    return inputs, np.eye(10)[labels]


def _time(prepare: Callable[[Array], Array], bench: Bench) -> float:
    """Return the least of three times of preparing normal inputs with as many pixels as MNIST."""
    examples = bench.pick(toy=2_000, short=10_000, full=60_000)
    x = np.random.default_rng(0).standard_normal((examples, 784))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        prepare(x)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _picture_herd(equal: Descent, small: Descent) -> Picture:
    return Picture(
        name="initialisation-herd",
        caption=(
            f"The two weights of each of {_HIDDEN} hidden units, from the start, the small dot, "
            f"through {_STEPS} steps of gradient descent on XOR. Above, all units begin equal, and "
            "their paths lie on top of each other; below, they begin small and random."
        ),
        alt="Equal units move as one; random ones part and go to the corners.",
        svg=_draw_herd(equal.kernels, small.kernels),
    )


@drawing
def _draw_herd(equal: Array, small: Array) -> Figure:
    figure, panels = new_figure(6.0, (1.0, 1.0))
    for axes, kernels, title in zip(
        panels, (equal, small), ("equal weights", "small random weights"), strict=True
    ):
        _draw_paths(axes, kernels)
        axes.set_title(title)
    panels[-1].set_xlabel("weight of the first input")
    return figure


def _draw_paths(axes: Axes, kernels: Array) -> None:
    colors = (*SERIES, "#56B4E9", "#009E73", "#D55E00", "#6E7781")
    for unit, color in zip(range(kernels.shape[2]), colors, strict=True):
        axes.plot(*kernels[:, :, unit].T, color=color, lw=1.4)
        axes.plot(*kernels[0, :, unit], "o", color=color, ms=3)
        axes.plot(*kernels[-1, :, unit], "o", color=color, ms=7, mec="white", mew=0.8)
    half = 1.1 * max(np.abs(kernels).max(), 0.5)
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axes.set_ylabel("of the second")


def _picture_squares(squares: Mapping[str, Array]) -> Picture:
    return Picture(
        name="initialisation-variance",
        caption=(
            f"Mean square of the outputs of each of {_DEPTH} hidden layers at the start, on "
            "standard normal inputs: the mean over the seeds, and a band from the lowest to the "
            "highest."
        ),
        alt="He's weights keep ReLU units level; with LeCun's each layer halves the mean square.",
        svg=_draw_squares(squares),
    )


@drawing
def _draw_squares(squares: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(3.2)
    for name, found in squares.items():
        plot_seeds(axes, found, _SCHEMES[name][2])
        axes.lines[-1].set_label(name)
    axes.set_yscale("log")
    axes.legend(loc="lower left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("hidden layer")
    axes.set_ylabel("mean square of outputs")
    return figure


def _picture_steps(inputs: Mapping[str, Array], targets: Array) -> Picture:
    steps = [0, *np.unique(np.geomspace(1, 100_000, 60).astype(int)).tolist()]
    errors = {name: excess_errors(x, targets, steps) for name, x in inputs.items()}
    return Picture(
        name="initialisation-inputs",
        caption=(
            "Avoidable squared error of linear units on scikit-learn's digits against steps of "
            "gradient descent, each with its largest safe rate; 1 at the start. The dashed line "
            "is where steps are counted."
        ),
        alt="Decorrelated inputs need by far the fewest steps.",
        svg=_draw_steps(steps, errors),
    )


@drawing
def _draw_steps(steps: Sequence[int], errors: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(3.0)
    for (name, found), color in zip(errors.items(), (INK, ORANGE, BLUE), strict=True):
        axes.semilogy(steps, np.maximum(found, 1e-6), color=color, lw=1.8, label=name)
    axes.axhline(_NEAR, color=PURPLE, ls="--", lw=1.0)
    axes.set_xscale("symlog", linthresh=1)  # step 0 is shown too
    axes.set_xlim(0, steps[-1])
    axes.set_ylim(1e-4, 1.5)
    axes.legend(loc="upper right")
    axes.set_xlabel("steps of gradient descent")
    axes.set_ylabel("avoidable error")
    return figure


def _picture_ratio(small: Sequence[Descent]) -> Picture:
    return Picture(
        name="initialisation-update",
        caption=(
            "Norm of an update of the hidden weights over that of the weights, by step, from small "
            "random weights on XOR: the mean over the seeds, and a band from the lowest to the "
            "highest."
        ),
        alt="The ratio rises while the units specialise, and falls when they have.",
        svg=_draw_ratio(np.array([one.ratios for one in small])),
    )


@drawing
def _draw_ratio(ratios: Array) -> Figure:
    figure, (axes,) = new_figure(2.4)
    plot_seeds(axes, ratios, BLUE)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("update / weight")
    return figure


EXPERIMENT = LectureExperiment(
    name="initialisation",
    title="Initial weights and inputs",
    source=(
        "Fraida Fund, 'Herd effect'; Columbia, Optimization II, 'Practical issues I: "
        "Initialization'"
    ),
    claim=(
        "Small random weights let hidden units specialise, weights scaled to the fan-in keep "
        "layers at a similar size, and standardised inputs, better still decorrelated ones, help"
    ),
    rules=[
        Rule(
            claim="hidden units that begin equal move as a herd, and are one unit for ever",
            place="Fund, 'Herd effect'",
            conditions=[
                Condition(_EQUAL, at_most=1e-9),
                Condition(_EQUAL_ACCURACY, at_most=0.8),
            ],
            reason=(
                "500 steps of float64, each rounded by 2e-16, leave a factor of 1,000 for their "
                "growth; one unit is a line, which has at most 3 of XOR's 4 clusters right"
            ),
        ),
        Rule(
            claim="hidden units that begin small and random specialise",
            place="Fund, 'Herd effect'",
            conditions=[
                Condition(_GROWTH, at_least=10),
                Condition(_RANDOM_ACCURACY, at_least=0.9),
            ],
            reason="an order of magnitude apart, and well beyond the 0.75 of a herd",
        ),
        Rule(
            claim="each activation has a scale of weights that keeps layers at a similar size",
            place="Columbia, 'Practical issues I: Initialization'",
            conditions=[
                *(
                    Condition(_square(name), at_least=0.8, at_most=1.25)
                    for name in ("tanh, LeCun", "tanh, Glorot", "ReLU, He")
                ),
                Condition(_square("ReLU, LeCun"), at_most=0.6),
            ],
            reason=(
                "less than a factor of 10 in ten layers, 0.8^10 = 0.11; ReLU units set half of "
                "their sums to 0, so that 1 / fan-in halves the mean square (He et al., 2015)"
            ),
        ),
        Rule(
            claim="gradient descent needs fewer steps on standardised inputs, and fewer still on "
            "decorrelated ones",
            place="Columbia, 'Practical issues I: Initialization'",
            conditions=[
                Condition(_saving("standardised", "raw"), at_most=0.5),
                Condition(_saving("decorrelated", "standardised"), at_most=0.5),
            ],
            reason="half of the steps: for less, another pass over the data is not worth it",
        ),
        Rule(
            claim="decorrelating can be expensive",
            place="Columbia, 'Practical issues I: Initialization'",
            conditions=[Condition(_COST, at_least=10)],
            reason=(
                "an order of magnitude more than standardising; n d^2 operations instead of n d "
                "for n examples of d = 784 features would be 784 times as many"
            ),
        ),
        Rule(
            claim="trained from zeros a network learns nothing, from scaled weights more than from "
            "small ones",
            place="Fund, 'Herd effect'; Columbia, 'Practical issues I: Initialization'",
            conditions=[
                Condition(_ZERO_TEST, at_most=0.12),
                Condition(_HE_GAIN, at_least=0.01),
            ],
            reason=(
                "the largest class has 0.1135 of the test images; and a point of accuracy, more "
                "than training for another epoch changes"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "Set gain=3 in small_layers: which units do large weights leave where they began?",
        "Add orthogonal to the initializers of _NETWORKS, with a baseline: is it better than He?",
        "assay run mnist-mlp --set initializer=zeros: which accuracy does a herd reach?",
    ),
)
