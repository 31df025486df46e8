"""How the gradient shrinks or grows from layer to layer, and the flat spot of the sigmoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, TrainedConfiguration, compare, to_number
from assay.experiments.lectures.dense_network import (
    ACTIVATIONS,
    Array,
    backpropagate,
    initialize,
    propagate,
)
from assay.experiments.lectures.drawing import draw_curves, draw_rows, plot_seeds
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    VERMILLION,
    drawing,
    new_figure,
)

_SEEDS = 5
_INPUTS, _UNITS, _OUTPUTS, _EXAMPLES = 100, 100, 10, 100
_DEPTH = 8
_DEPTHS = (2, 4, 8, 12, 16, 24)
_FLOAT32 = float(np.finfo(np.float32).eps)
_SATURATED = 0.1
"""Share of its largest derivative, 1/4, below which a sigmoid counts as flat."""

_SMALL, _LARGE = 1.0, 10.0
"""Standard deviation of weighted sums, by the gain of LeCun's weights on standard inputs."""


@dataclass(frozen=True)
class Start:
    """How a network begins.

    Attributes:
        activation: of its hidden units.
        scheme: of its initial weights.
        gain: by which these are multiplied.
        color: in figures.
    """

    activation: str
    scheme: str
    gain: float
    color: str


_STARTS: Mapping[str, Start] = {
    "sigmoid, Glorot": Start("sigmoid", "glorot", 1, ORANGE),
    "tanh, Glorot": Start("tanh", "glorot", 1, PURPLE),
    "ReLU, He": Start("relu", "he", 1, BLUE),
    "ReLU, twice He": Start("relu", "he", 2, VERMILLION),
    "sigmoid, 20 times Glorot": Start("sigmoid", "glorot", 20, INK),
}

_NETWORKS = """
title = "Deep and shallow networks of sigmoid and ReLU units on MNIST"
source = "Fraida Fund, 'Unstable gradients'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "mlp"
hidden_units = 64

[train]
epochs = {epochs}
learning_rate = 1e-3
batch_size = 100

[space]
activation = ["sigmoid", "relu"]
hidden_layers = [1, {deep}]
"""
_BASELINE = """
[[baseline]]
activation = "{activation}"
hidden_layers = {layers}
"""


def gradient_norms(start: Start, depth: int, seed: int) -> Array:
    """Return the norm of the gradient by the weighted sums of each hidden layer (depth,).

    Of the mean cross-entropy of random labels, at the initial weights, on standard normal inputs.

    Args:
        start: how the network begins.
        depth: number of hidden layers.
        seed: of weights, inputs and labels.
    """
    random = np.random.default_rng(seed)
    layers = initialize(
        [_INPUTS, *depth * [_UNITS], _OUTPUTS], start.scheme, random, gain=start.gain
    )
    x = random.standard_normal((_EXAMPLES, _INPUTS))
    labels = random.integers(0, _OUTPUTS, _EXAMPLES)
    found = backpropagate(layers, start.activation, x, labels)
    return np.array([np.linalg.norm(one) for one in found.sums[:-1]])


def layer_factor(norms: Array) -> float:
    """Return by what the gradient is multiplied per layer towards the inputs, on average.

    Example:
        >>> layer_factor(np.array([1.0, 4.0, 16.0]))
        0.25
    """
    return float((norms[0] / norms[-1]) ** (1 / (len(norms) - 1)))


def saturated_share(gain: float, seed: int) -> float:
    """Return the share of sigmoid units whose derivative is below a tenth of its largest.

    Of one layer of 100 units on 100 standard normal inputs; gain 1 gives weighted sums of
    standard deviation 1.
    """
    derivatives = ACTIVATIONS["sigmoid"].differentiate(_first_sums(gain, seed))
    return float((derivatives < _SATURATED / 4).mean())


def measure(bench: Bench) -> Measured:
    """Measure initial gradients layer by layer, and train shallow and deep networks."""
    norms = {
        name: np.array([gradient_norms(start, _DEPTH, seed) for seed in range(_SEEDS)])
        for name, start in _STARTS.items()
    }
    saturated = {
        gain: np.array([saturated_share(gain, seed) for seed in range(_SEEDS)])
        for gain in (_SMALL, _LARGE)
    }
    deep = bench.pick(toy=3, short=8, full=8)
    text = _NETWORKS.format(
        images=bench.pick(toy=500, short=6_000, full=50_000),
        epochs=bench.pick(toy=2, short=6, full=10),
        deep=deep,
    ) + "".join(
        _BASELINE.format(activation=activation, layers=layers)
        for activation in ("sigmoid", "relu")
        for layers in (1, deep)
    )
    trained = bench.train("vanishing-gradient", text, bench.pick(toy=3, short=5, full=5))
    shallow, deeper = (
        {
            activation: trained.find(activation=activation, hidden_layers=layers)
            for activation in ("relu", "sigmoid")
        }
        for layers in (1, deep)
    )
    shown = {
        f"{activation} x {layers}": one
        for layers, group in ((1, shallow), (deep, deeper))
        for activation, one in group.items()
    }
    return Measured(
        numbers={
            _ratio("sigmoid, Glorot"): to_number(
                mean_interval([np.log10(one[0] / one[-1]) for one in norms["sigmoid, Glorot"]])
            ),
            **{
                _factor(name): to_number(mean_interval([layer_factor(one) for one in found]))
                for name, found in norms.items()
            },
            **{
                _share(gain): to_number(mean_interval(shares)) for gain, shares in saturated.items()
            },
            "test accuracy, ReLU minus sigmoid, 1 layer": compare(shallow)["relu", "sigmoid"],
            "test accuracy, ReLU minus sigmoid, deep": compare(deeper)["relu", "sigmoid"],
            "layers of the deep networks": Number(deep),
        },
        pictures=[
            _picture_layers(norms),
            _picture_depth(),
            _picture_flat_spot(),
            _picture_training(shown),
            draw_rows(
                "vanishing-gradient-accuracy",
                {name: one.test for name, one in shown.items()},
                "accuracy on the test set",
                "Test accuracy of networks with 1 hidden layer and with "
                f"{deep}: the mean over the seeds and its 95 % interval.",
            ),
        ],
        notes=[
            "The gradient is that by the weighted sums of a layer, because backpropagation "
            "multiplies it by W^T and g' from layer to layer. That by the weights is its product "
            "with the layer's inputs.",
            "The trained networks have layers of 64 units. Adam trains them, which divides each "
            "gradient by its usual size, so that small gradients alone do not stop it.",
        ],
        studies=[trained.name],
    )


def _ratio(name: str) -> str:
    return f"log10 of the gradient's norm, layer 1 over layer {_DEPTH}, {name}"


def _factor(name: str) -> str:
    return f"factor of the gradient per layer, {name}"


def _share(gain: float) -> str:
    return f"share of flat sigmoid units, weighted sums of deviation {gain:g}"


def _first_sums(gain: float, seed: int) -> Array:
    random = np.random.default_rng(seed)
    layers = initialize([_INPUTS, _UNITS], "lecun", random, gain=gain)
    return propagate(layers, "sigmoid", random.standard_normal((_EXAMPLES, _INPUTS))).sums[0]


def _picture_layers(norms: Mapping[str, Array]) -> Picture:
    sigmoid = norms["sigmoid, Glorot"].mean(axis=0)
    return Picture(
        name="vanishing-gradient-layers",
        caption=(
            f"Norm of the gradient by the weighted sums of each of {_DEPTH} hidden layers, at the "
            "initial weights, divided by that of the last hidden layer: the mean over the seeds "
            "and a band from the lowest to the highest. Backpropagation goes from right to left."
        ),
        alt=(
            "From the last hidden layer to the first, the gradient of sigmoid units shrinks "
            f"{sigmoid[-1] / sigmoid[0]:,.0f} times; that of ReLU units with He's weights stays."
        ),
        svg=_draw_layers(norms),
    )


@drawing
def _draw_layers(norms: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(3.6)
    for name, found in norms.items():
        plot_seeds(axes, found / found[:, -1:], _STARTS[name].color)
        axes.lines[-1].set_label(name)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("hidden layer; the inputs are on the left")
    axes.set_ylabel("gradient, last layer = 1")
    figure.legend(
        handles=axes.lines[: len(norms)], loc="outside upper left", ncols=2, borderpad=0.0
    )
    return figure


def _picture_depth() -> Picture:
    ratios = {}
    for name, start in _STARTS.items():
        found = [
            [gradient_norms(start, depth, seed) for depth in _DEPTHS] for seed in range(_SEEDS)
        ]
        ratios[name] = np.array([[one[0] / one[-1] for one in row] for row in found])
    return Picture(
        name="vanishing-gradient-depth",
        caption=(
            "The same ratio, of the first hidden layer's gradient to the last one's, against the "
            "number of hidden layers, in the colours of the figure before. On this scale a "
            "constant factor per layer is a straight line."
        ),
        alt="With sigmoid units the ratio falls exponentially with depth; with large ReLU weights "
        "it grows so.",
        svg=_draw_depth(_DEPTHS, ratios),
    )


@drawing
def _draw_depth(depths: Sequence[int], ratios: Mapping[str, Array]) -> Figure:
    figure, (axes,) = new_figure(3.0)
    for name, found in ratios.items():
        plot_seeds(axes, found, _STARTS[name].color, x=depths)
        axes.lines[-1].set_marker("o")
        axes.lines[-1].set_markersize(3.5)
    axes.set_yscale("log")
    axes.axhline(_FLOAT32, color=GREY, ls="--", lw=1.0)
    axes.annotate(
        "precision of float32",
        (depths[-1], _FLOAT32),
        (0, 3),
        textcoords="offset points",
        ha="right",
        color=GREY,
    )
    axes.set_xlabel("hidden layers")
    axes.set_ylabel("gradient, first / last layer")
    return figure


def _picture_flat_spot() -> Picture:
    return Picture(
        name="vanishing-gradient-flat-spot",
        caption=(
            "Above, the sigmoid and, below it, four times its derivative. Grey is the flat spot, "
            "where the derivative is below a tenth of its largest. At the bottom, where weighted "
            f"sums are: with weights that give them deviation {_SMALL:g}, and {_LARGE:g}."
        ),
        alt="With large weights most weighted sums are in the flat spot; with small ones none is.",
        svg=_draw_flat_spot({gain: _first_sums(gain, 0).ravel() for gain in (_SMALL, _LARGE)}),
    )


@drawing
def _draw_flat_spot(sums: Mapping[float, NDArray[np.float64]]) -> Figure:
    figure, panels = new_figure(4.2, (1.3, 1.0))
    above, below = panels
    z = np.linspace(-12, 12, 300)
    slope = 4 * ACTIVATIONS["sigmoid"].differentiate(z)
    edge = z[slope >= _SATURATED].max()
    above.plot(z, ACTIVATIONS["sigmoid"].compute(z), color=INK, lw=1.8, label="sigmoid")
    above.plot(z, slope, color=BLUE, lw=1.8, label="4 x its derivative")
    bins = np.linspace(-12, 12, 73).tolist()
    for (gain, values), color in zip(sums.items(), (BLUE, ORANGE), strict=True):
        below.hist(
            np.clip(values, -12, 12),
            bins=bins,
            density=True,
            histtype="stepfilled",
            color=color,
            alpha=0.7,
            label=f"deviation {gain:g}",
        )
    for axes in panels:
        for low, high in ((-12.0, -edge), (edge, 12.0)):
            axes.axvspan(low, high, color=PALE, alpha=0.45, lw=0)
        axes.set_xlim(-12, 12)
        axes.legend(loc="upper left", handlelength=1.2)
    below.set_xlabel("weighted sum z; the rest is in the outermost bars")
    below.set_ylabel("density")
    return figure


def _picture_training(shown: Mapping[str, TrainedConfiguration]) -> Picture:
    return draw_curves(
        "vanishing-gradient-training",
        {
            "accuracy, new images": {
                name: one.curve("val_accuracy") for name, one in shown.items()
            },
            "loss": {name: one.curve("loss") for name, one in shown.items()},
        },
        "Accuracy on images that were not trained on, and training loss, by epoch: the mean over "
        "the seeds, and a band from the lowest to the highest.",
        "Deep networks of sigmoid units start late; those of ReLU units start at once.",
    )


EXPERIMENT = LectureExperiment(
    name="vanishing-gradient",
    title="Gradients that vanish and explode",
    source="Fraida Fund, 'Unstable gradients', 'Vanishing gradient problem' and 'Breakthroughs'",
    claim=(
        "Backpropagation multiplies by weight and derivative in every layer, so the gradient of a "
        "deep network of sigmoid units vanishes towards the inputs, and large weights explode it"
    ),
    rules=[
        Rule(
            claim="the gradient of sigmoid units vanishes from the last layer to the first",
            place="Fund, 'Unstable gradients'",
            conditions=[
                Condition(_ratio("sigmoid, Glorot"), at_most=-3),
                Condition(_factor("sigmoid, Glorot"), at_most=0.25),
            ],
            reason=(
                "the sigmoid's derivative is at most 1/4, and Glorot's weights keep a norm; seven "
                "such factors are 10^-4.2, and 10^-3 is less than a figure shows"
            ),
        ),
        Rule(
            claim="ReLU units with He's weights keep the gradient level",
            place="Fund, 'Breakthroughs'",
            conditions=[Condition(_factor("ReLU, He"), at_least=0.8, at_most=1.25)],
            reason="less than a factor of 10 in ten layers: 0.8^10 = 0.11, and 1.25 is 1 / 0.8",
        ),
        Rule(
            claim="large weights make the gradient grow from layer to layer",
            place="Fund, 'Unstable gradients'",
            conditions=[
                Condition(_factor("ReLU, twice He"), at_least=1.25),
                Condition(_factor("sigmoid, 20 times Glorot"), at_least=1.25),
            ],
            reason="more than what still counts as level",
        ),
        Rule(
            claim="the sigmoid has a flat spot, in which large weights put most units",
            place="Fund, 'Vanishing gradient problem: illustration'",
            conditions=[
                Condition(_share(_SMALL), at_most=0.01),
                Condition(_share(_LARGE), at_least=0.5),
            ],
            reason=(
                "the derivative is below a tenth of 1/4 beyond 3.64; of a normal distribution of "
                "deviation 1, 0.03 % are there, of one of deviation 10 more than half"
            ),
        ),
        Rule(
            claim="so deep networks of sigmoid units learn late or not, those of ReLU units do",
            place="Fund, 'Deep networks'",
            conditions=[
                Condition("test accuracy, ReLU minus sigmoid, 1 layer", at_most=0.1),
                Condition("test accuracy, ReLU minus sigmoid, deep", at_least=0.4),
            ],
            reason=(
                "half of what there is to learn, from chance, 0.1, to 0.9; with one hidden layer "
                "at most an eighth of it"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "Add batch_norm = true to [model]: what is left of the gap of the deep networks?",
        "assay run mnist-mlp --set activation=sigmoid --set hidden_layers=6, then with relu.",
        'Add "identity" with Glorot\'s weights to _STARTS: what is its factor per layer, and why?',
    ),
)
