"""Neurons, weights and parameters of the lectures' networks, by formula and by Keras."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from assay.experiments.lectures.bench import Bench
from assay.experiments.lectures.diagrams import (
    draw_box,
    draw_units,
    draw_weights,
    hide_axes,
    place_units,
)
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    SKY,
    drawing,
    label,
    name_rows,
    new_figure,
    write_values,
)
from assay.models.analysis.outputs import weight_shapes
from assay.models.analysis.sizes import LayerConfig, measure_layers

_ALEXNET_INPUT = (227, 227, 3)


@dataclass(frozen=True)
class LayerCount:
    """What a formula counts of a layer.

    Attributes:
        name: of the layer.
        output_shape: shape of its output for one example.
        weights: number of its weights.
        biases: number of its biases.
    """

    name: str
    output_shape: tuple[int, ...]
    weights: int
    biases: int

    @property
    def neurons(self) -> int:
        """Number of its units; each has an output of its own."""
        return math.prod(self.output_shape)

    @property
    def parameters(self) -> int:
        """Number of its weights and biases."""
        return self.weights + self.biases


@dataclass(frozen=True)
class Convolution:
    """A convolutional layer of AlexNet.

    Attributes:
        filters: number of its output channels.
        kernel: side of its kernel in pixels.
        stride: distance of two of its outputs in pixels.
        is_padded: whether zeros around its input keep the size of the image.
        groups: number of parts of the channels that are kept apart.
        is_pooled: whether 3 x 3 max pooling with stride 2 follows.
    """

    filters: int
    kernel: int
    stride: int = 1
    is_padded: bool = True
    groups: int = 1
    is_pooled: bool = False


# Krizhevsky, Sutskever and Hinton (2012), section 3.5 and figure 2: two graphics cards had half of
# the channels each, so convolutions 2, 4 and 5 see half of their input. The text says 224 pixels;
# 55 outputs of stride 4 take 227.
_CONVOLUTIONS = (
    Convolution(96, 11, stride=4, is_padded=False, is_pooled=True),
    Convolution(256, 5, groups=2, is_pooled=True),
    Convolution(384, 3),
    Convolution(384, 3, groups=2),
    Convolution(256, 3, groups=2, is_pooled=True),
)
_DENSE = (4096, 4096, 1000)


def count_dense(sizes: Sequence[int]) -> list[LayerCount]:
    """Count fully connected layers: n_in n_out weights, and a bias for each unit.

    Args:
        sizes: number of units of each layer, the inputs first.

    Example:
        >>> [layer.parameters for layer in count_dense([3, 4, 2])]
        [16, 10]
    """
    return [
        LayerCount(f"dense {index}", (units,), inputs * units, units)
        for index, (inputs, units) in enumerate(itertools.pairwise(sizes), start=1)
    ]


def count_alexnet() -> list[LayerCount]:
    """Count the layers of AlexNet by formula; pooling has no parameters."""
    counted = []
    side, _, channels = _ALEXNET_INPUT
    for index, layer in enumerate(_CONVOLUTIONS, start=1):
        free = 0 if layer.is_padded else layer.kernel - 1
        side = (side - free - 1) // layer.stride + 1
        weights = layer.kernel**2 * (channels // layer.groups) * layer.filters
        shape = (side, side, layer.filters)
        counted.append(LayerCount(f"convolution {index}", shape, weights, layer.filters))
        channels = layer.filters
        if layer.is_pooled:
            side = (side - 3) // 2 + 1
    return [*counted, *count_dense([side * side * channels, *_DENSE])]


def _alexnet_layers() -> list[LayerConfig]:
    # Zeros, because drawing 60 million weights takes seconds and changes no count.
    zeros = {"kernel_initializer": "zeros"}
    layers = []
    for layer in _CONVOLUTIONS:
        arguments = {
            "filters": layer.filters,
            "kernel_size": layer.kernel,
            "strides": layer.stride,
            "padding": "same" if layer.is_padded else "valid",
            "groups": layer.groups,
        }
        layers.append(LayerConfig("Conv2D", {**arguments, **zeros}))
        if layer.is_pooled:
            layers.append(LayerConfig("MaxPooling2D", {"pool_size": 3, "strides": 2}))
    layers.append(LayerConfig("Flatten"))
    return [*layers, *(LayerConfig("Dense", {"units": units, **zeros}) for units in _DENSE)]


@dataclass(frozen=True)
class _Counted:
    """A network counted twice: by formula, and by Keras."""

    formula: Sequence[LayerCount]
    keras_parameters: int

    @property
    def neurons(self) -> int:
        return sum(layer.neurons for layer in self.formula)

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.formula)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.formula)


def _count_perceptron(sizes: Sequence[int]) -> _Counted:
    settings = {"hidden_units": list(sizes[1:-1])}
    shapes = weight_shapes("mlp", settings, (sizes[0],), sizes[-1])
    return _Counted(count_dense(sizes), sum(math.prod(shape) for shape in shapes))


_PERCEPTRONS: Mapping[str, Sequence[int]] = {
    "3-4-2": (3, 4, 2),
    "2-3-3-1": (2, 3, 3, 1),
    "784-100-10": (784, 100, 10),
}


def measure(bench: Bench) -> Measured:
    """Count the networks by formula, and build them to count them by Keras."""
    bench.say("parameter-count: builds AlexNet layer by layer")
    networks = {name: _count_perceptron(sizes) for name, sizes in _PERCEPTRONS.items()}
    built = measure_layers(_alexnet_layers(), _ALEXNET_INPUT)
    alexnet = _Counted(count_alexnet(), sum(size.parameters for size in built))
    networks["AlexNet"] = alexnet
    small, digits = networks["3-4-2"], networks["784-100-10"]
    dense = sum(layer.parameters for layer in alexnet.formula if len(layer.output_shape) == 1)
    return Measured(
        numbers={
            "neurons, 3-4-2": Number(small.neurons),
            "weights, 3-4-2": Number(small.weights),
            "parameters, 3-4-2": Number(small.keras_parameters),
            "parameters, 2-3-3-1": Number(networks["2-3-3-1"].keras_parameters),
            "parameters, 784-100-10": Number(digits.keras_parameters),
            "millions of parameters, AlexNet": Number(alexnet.keras_parameters / 1e6),
            "thousands of neurons, AlexNet": Number(alexnet.neurons / 1e3),
            "share of the parameters in dense layers, AlexNet": Number(dense / alexnet.parameters),
            "share of the neurons in dense layers, AlexNet": Number(sum(_DENSE) / alexnet.neurons),
            "largest difference of formula and Keras": Number(
                max(abs(one.parameters - one.keras_parameters) for one in networks.values())
            ),
        },
        pictures=[
            _build_perceptron_picture(),
            _build_alexnet_picture(alexnet.formula),
            _build_share_picture(alexnet.formula),
        ],
        tables=[_build_table(networks)],
        notes=[
            "A neuron is a unit that computes something: inputs are none. A weight is an edge of "
            "the diagram, or an entry of a convolution's kernel; parameters are weights and biases."
        ],
    )


def _build_table(networks: Mapping[str, _Counted]) -> Table:
    return Table(
        "The networks, counted by formula and by Keras.",
        columns("network", "#neurons", "#weights", "#parameters", "#parameters by Keras"),
        [
            [
                name,
                f"{one.neurons:,}",
                f"{one.weights:,}",
                f"{one.parameters:,}",
                f"{one.keras_parameters:,}",
            ]
            for name, one in networks.items()
        ],
        stacked=True,
    )


def _build_perceptron_picture() -> Picture:
    return Picture(
        name="parameter-count-dense",
        caption=(
            "Two networks of the lectures. Each circle to the right of the inputs is a neuron, "
            "each line a weight; each neuron has a bias as well. Of the second network, which "
            "classifies images of 784 pixels, a few circles are drawn."
        ),
        alt=(
            "3 inputs, 4 hidden and 2 output neurons: 12 + 8 weights and 4 + 2 biases are 26 "
            "parameters. 784 inputs, 100 hidden and 10 output neurons: 79,510 parameters."
        ),
        svg=_draw_perceptrons([(3, 4, 2), (784, 100, 10)]),
    )


@drawing
def _draw_perceptrons(networks: Sequence[Sequence[int]]) -> Figure:
    figure, panels = new_figure(5.4, (1.0,) * len(networks))
    for axes, sizes in zip(panels, networks, strict=True):
        layers = count_dense(sizes)
        distance = 3.6 if max(sizes) < 6 else 5.4
        placed = place_units(sizes, width=distance)
        draw_weights(axes, placed, width=0.6)
        draw_units(axes, placed)
        top = max(column.y[0] for column in placed) + 0.75
        bottom = min(column.y[-1] for column in placed) - 0.75
        names = ["inputs", *["hidden"] * (len(sizes) - 2), "outputs"]
        for column, size, name in zip(placed, sizes, names, strict=True):
            axes.text(column.x, top, f"{size:,} {name}", ha="center", color=INK)
        for left, layer in zip(placed, layers, strict=False):
            axes.text(
                left.x + distance / 2,
                bottom,
                f"{layer.weights:,} weights\n+ {layer.biases:,} biases",
                ha="center",
                va="top",
                color=BLUE,
            )
        total = sum(layer.parameters for layer in layers)
        axes.set_title(f"{'-'.join(map(str, sizes))}: {total:,} parameters")
        hide_axes(axes)
        axes.set_xlim(-1.3, placed[-1].x + 1.3)
        axes.set_ylim(bottom - 0.45 * distance, top + 0.4)
    return figure


def _build_alexnet_picture(layers: Sequence[LayerCount]) -> Picture:
    return Picture(
        name="parameter-count-alexnet",
        caption=(
            "AlexNet from the image (grey) through five convolutions (blue) to three dense layers "
            "(orange), the last one with a unit for each class. Below an image stand the pixels of "
            "its side and its channels, below a dense layer its units. The height of an image is "
            "drawn by the square root of its side, that of a dense layer by the logarithm of its "
            "units, the width of a box by its channels."
        ),
        alt=(
            "The image shrinks from 227 to 13 pixels a side while the channels grow from 3 to 256; "
            "three dense layers follow."
        ),
        svg=_draw_alexnet(layers),
    )


@drawing
def _draw_alexnet(layers: Sequence[LayerCount]) -> Figure:
    figure, (axes,) = new_figure(3.0)
    shapes = [_ALEXNET_INPUT, *(layer.output_shape for layer in layers)]
    x = 0.0
    for shape in shapes:
        if len(shape) == 3:
            side, width = 1.6 * math.sqrt(shape[0] / 10), 0.06 + shape[2] / 500
            color = PALE if shape == _ALEXNET_INPUT else SKY
            draw_box(axes, (x, -side / 2), side, width, 0.3 * side, color)
            text, center, step = f"{shape[0]}\n{shape[2]}", x + width / 2, width + 0.3 * side
        else:
            side, width = 1.4 * math.log10(shape[0]), 0.22
            draw_box(axes, (x, -side / 2), side, width, 0.1, ORANGE)
            text, center, step = f"{shape[0]:,}", x + width / 2, width + 0.75
        axes.text(center, -side / 2 - 0.25, text, ha="center", va="top", fontsize=7.5, color=INK)
        x += step + 0.55
    hide_axes(axes)
    axes.set_xlim(-0.6, x + 0.2)
    axes.set_ylim(-5.4, 6.3)
    return figure


def _build_share_picture(layers: Sequence[LayerCount]) -> Picture:
    dense = [layer for layer in layers if len(layer.output_shape) == 1]
    share = sum(layer.parameters for layer in dense) / sum(layer.parameters for layer in layers)
    return Picture(
        name="parameter-count-shares",
        caption=(
            "Parameters of each layer of AlexNet (blue) and its neurons (orange), as shares of all "
            "of the network. Convolutions share their weights among all places of the image."
        ),
        alt=(
            f"The three dense layers have {share:.1%} of the parameters; nearly all neurons are in "
            "the convolutions."
        ),
        svg=_draw_shares(layers),
        numbers=Table(
            "AlexNet by layer.",
            columns("layer", "#neurons", "#weights", "#biases"),
            [
                [layer.name, f"{layer.neurons:,}", f"{layer.weights:,}", f"{layer.biases:,}"]
                for layer in layers
            ],
        ),
    )


@drawing
def _draw_shares(layers: Sequence[LayerCount]) -> Figure:
    figure, (axes,) = new_figure(0.65 + 0.36 * len(layers))
    parameters = sum(layer.parameters for layer in layers)
    neurons = sum(layer.neurons for layer in layers)
    for place, layer in enumerate(layers):
        axes.barh(place - 0.18, layer.parameters / parameters, 0.32, color=BLUE)
        axes.barh(place + 0.18, layer.neurons / neurons, 0.32, color=ORANGE)
    name_rows(axes, [label(layer.name) for layer in layers])
    write_values(axes, [_format_millions(layer.parameters) for layer in layers])
    axes.set_xlabel("share of all parameters (blue), of all neurons (orange)")
    return figure


def _format_millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _equals(number: str, value: float) -> Condition:
    return Condition(number, at_least=value, at_most=value)


EXPERIMENT = LectureExperiment(
    name="parameter-count",
    title="How many parameters a network has",
    source=(
        "'Neural Networks', 'How many learnable parameters total?'; NYU Tandon CS-UY 4563 lecture "
        "16, 'Graphics processing unit' and 'Architecture visualization'; OSU ECE 5307 unit 8, "
        "'Application to MNIST'"
    ),
    claim=(
        "The size of a network follows from its architecture: a fully connected layer has a weight "
        "for each pair of units and a bias for each unit"
    ),
    rules=[
        Rule(
            claim="3 inputs, 4 hidden and 2 output units are 6 neurons, 20 weights, 26 parameters",
            place="'Neural Networks', 'How many learnable parameters total?'",
            conditions=[
                _equals("neurons, 3-4-2", 6),
                _equals("weights, 3-4-2", 20),
                _equals("parameters, 3-4-2", 26),
            ],
            reason="these are whole numbers, printed on the slide",
        ),
        Rule(
            claim="the formulas count what Keras counts, convolutions included",
            place="'Neural Networks', 'How many weights (edges)?'",
            conditions=[_equals("largest difference of formula and Keras", 0)],
            reason="both count whole numbers, so that any difference is an error",
        ),
        Rule(
            claim="a network of 100 hidden units for 784 pixels and 10 digits has 79,510",
            place="OSU ECE 5307 unit 8, 'Application to MNIST'",
            conditions=[_equals("parameters, 784-100-10", 79_510)],
            reason="784 x 100 + 100 + 100 x 10 + 10, counted by hand",
        ),
        Rule(
            claim="AlexNet has 60 million parameters",
            place="NYU lecture 16, 'Graphics processing unit'",
            conditions=[Condition("millions of parameters, AlexNet", at_least=55, at_most=65)],
            reason="60 million is one digit and zeros, so half of ten million to either side",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set hidden_units=200: the preflight line says parameters = 159,010. "
        "Which part of the formula doubled?",
        "assay sweep mnist-mlp --dry-run says how many parameters the first network has, before "
        "anything is trained.",
        "Set groups=1 in _CONVOLUTIONS: on one graphics card AlexNet has 62.4 million parameters.",
    ),
)
