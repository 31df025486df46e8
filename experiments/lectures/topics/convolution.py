"""Convolutions by hand and as matrices equal the layer, and what they do to shifted images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from assay.experiments.lectures.bench import Bench
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import BLUE, GREY, ORANGE, drawing, new_figure
from assay.models.analysis.layer_outputs import compute_layer
from assay.models.analysis.sizes import LayerConfig, measure_layers

Array = NDArray[np.float64]

_SIDE, _KERNEL, _SHIFT = 12, 3, 2


def measure(bench: Bench) -> Measured:
    """Compare convolutions by hand with the layers, and shift and permute their inputs."""
    bench.say("convolution: by hand, as a matrix, and by the layer")
    random = np.random.default_rng(0)
    image = random.standard_normal((_SIDE, _SIDE))
    kernel = random.standard_normal((_KERNEL, _KERNEL))
    signal, taps = random.standard_normal(5), random.standard_normal(3)
    permutation = random.permutation(image.size)
    dense = random.normal(0.0, 1.0 / _SIDE, (image.size, image.size))
    return Measured(
        numbers={
            "2-D convolution by hand, relative difference from the layer": Number(
                _relative(_layer_2d(image, kernel[::-1, ::-1]), convolve(image, kernel))
            ),
            "the same with a kernel that is not flipped": Number(
                _relative(_layer_2d(image, kernel), convolve(image, kernel))
            ),
            "1-D matrix, relative difference from the layer": Number(
                _relative(_layer_1d(signal, taps), convolution_matrix(taps, 5) @ signal)
            ),
            "convolution of a shifted image minus shifted convolution": Number(
                measure_shift(lambda x: _layer_2d(x, kernel), image)
            ),
            "the same of a dense layer": Number(
                measure_shift(lambda x: (x.ravel() @ dense).reshape(x.shape)[1:-1, 1:-1], image)
            ),
            "dense layer with permuted pixels and weights, relative difference": Number(
                _relative(image.ravel()[permutation] @ dense[permutation], image.ravel() @ dense)
            ),
            "parameters of a convolution with 16 filters on 32 x 32 x 3": Number(
                _count("Conv2D", {"filters": 16, "kernel_size": 3, "padding": "same"}, (32, 32, 3))
            ),
            "parameters of a dense layer of as many outputs": Number(
                float(32 * 32 * 3 * 32 * 32 * 16 + 32 * 32 * 16)
            ),
        },
        pictures=[_build_step_picture(), _build_matrix_picture(taps)],
        notes=[
            "A layer of Keras correlates: it does not flip the kernel. A kernel that is flipped "
            "first gives the convolution of the lecture. A trained kernel is learned either way.",
            "Only the mathematics of locality is measured here, and no network is trained.",
        ],
    )


def _count(layer: str, arguments: Mapping[str, Any], input_shape: tuple[int, ...]) -> float:
    return float(measure_layers([LayerConfig(layer, arguments)], input_shape)[0].parameters)


def convolve(image: Array, kernel: Array) -> Array:
    """Return the convolution of an image where the kernel lies inside of it.

    h(i, j) is the sum of f(k, l) g(i - k, j - l) over the kernel f.

    Args:
        image: g (height, width).
        kernel: f (rows, columns).

    Returns:
        h (height - rows + 1, width - columns + 1).
    """
    rows, columns = kernel.shape
    result = np.zeros((image.shape[0] - rows + 1, image.shape[1] - columns + 1))
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            for k in range(rows):
                for m in range(columns):
                    result[i, j] += kernel[k, m] * image[i + rows - 1 - k, j + columns - 1 - m]
    return result


def convolution_matrix(taps: Array, length: int) -> Array:
    """Return the matrix of a 1-D convolution with zeros around its input.

    Args:
        taps: the filter f (taps,).
        length: of the input.

    Returns:
        Matrix (length + taps - 1, length), whose diagonals are constant: entry (i, j) is f(i - j).

    Example:
        >>> convolution_matrix(np.array([1.0, 2.0]), 2)
        array([[1., 0.],
               [2., 1.],
               [0., 2.]])
    """
    matrix = np.zeros((length + len(taps) - 1, length))
    for column in range(length):
        matrix[column : column + len(taps), column] = taps
    return matrix


def measure_shift(apply: Callable[[Array], NDArray[Any]], image: Array) -> float:
    """Return how a shift of the input differs from a shift of the output, relative to the output.

    Compared are the places that have neither the old nor the new border in sight.

    Args:
        apply: the layer, (height, width) to (height - 2, width - 2).
        image: its input.
    """
    shifted = np.roll(image, _SHIFT, axis=(0, 1))
    before = apply(image)[:-_SHIFT, :-_SHIFT]
    after = apply(shifted)[_SHIFT:, _SHIFT:]
    return _relative(after, before)


def _relative(found: NDArray[Any], right: NDArray[Any]) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def _layer_2d(image: Array, kernel: Array) -> NDArray[np.float32]:
    config = LayerConfig("Conv2D", {"filters": 1, "kernel_size": kernel.shape, "use_bias": False})
    return compute_layer(config, [kernel[:, :, None, None]], image[None, :, :, None])[0, :, :, 0]


def _layer_1d(signal: Array, taps: Array) -> NDArray[np.float32]:
    config = LayerConfig("Conv1D", {"filters": 1, "kernel_size": len(taps), "use_bias": False})
    padded = np.pad(signal, len(taps) - 1)
    return compute_layer(config, [taps[::-1, None, None]], padded[None, :, None])[0, :, 0]


def _build_step_picture() -> Picture:
    image = np.zeros((8, 8))
    image[1:7, 3:5] = 1.0
    kernel = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    result = convolve(image, kernel)
    return Picture(
        name="convolution-step",
        caption=(
            "A bar (top), the kernel that finds its left and right edges, flipped as the sum "
            "applies it (middle), and the convolution (bottom). The framed output is the sum of "
            "the framed 3 x 3 pixels times the flipped kernel: no other pixel has a part in it."
        ),
        alt=(
            f"The convolution is {result.max():g} along one edge of the bar, {result.min():g} "
            "along the other, and 0 inside and outside."
        ),
        svg=_draw_step(image, kernel[::-1, ::-1], result),
    )


@drawing
def _draw_step(image: Array, flipped: Array, result: Array) -> Figure:
    figure, panels = new_figure(6.2, (8, 3.4, 6))
    for axes, values, title in zip(
        panels, (image, flipped, result), ("image", "flipped kernel", "convolution"), strict=True
    ):
        _draw_grid(axes, values, title)
    panels[0].add_patch(Rectangle((1.5, 1.5), 3, 3, fc="none", ec=ORANGE, lw=2.5))
    panels[2].add_patch(Rectangle((1.5, 1.5), 1, 1, fc="none", ec=ORANGE, lw=2.5))
    return figure


def _draw_grid(axes: Axes, values: Array, title: str) -> None:
    largest = np.abs(values).max()
    axes.imshow(values, cmap="RdBu", vmin=-1.6 * largest, vmax=1.6 * largest)
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value + 0.0:g}", ha="center", va="center", fontsize=8)
    axes.set_title(title)
    axes.set_axis_off()


def _build_matrix_picture(taps: Array) -> Picture:
    return Picture(
        name="convolution-matrix",
        caption=(
            "The matrix of a 1-D convolution with a filter of three numbers on five inputs. Each "
            "color is one number of the filter: the layer has 3 weights, where a dense layer with "
            "as many outputs has 35."
        ),
        alt="A band of three diagonals, each of one color; all other entries are 0.",
        svg=_draw_matrix(convolution_matrix(np.arange(1.0, len(taps) + 1), 5)),
    )


@drawing
def _draw_matrix(matrix: Array) -> Figure:
    figure, (axes,) = new_figure(3.6)
    for (row, column), value in np.ndenumerate(matrix):
        color = {0.0: "white", 1.0: BLUE, 2.0: ORANGE, 3.0: GREY}[float(value)]
        axes.add_patch(Rectangle((column, row), 1, 1, fc=color, ec=GREY, lw=0.6, alpha=0.6))
        text = f"f({int(value) - 1})" if value else "0"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center")
    axes.set(xlim=(-0.1, matrix.shape[1] + 0.1), ylim=(matrix.shape[0] + 0.1, -0.1))
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


EXPERIMENT = LectureExperiment(
    name="convolution",
    title="Convolutions and locality",
    source="Columbia, Optimization II, 'Convolutions', 'Convolutions II' and '2D convolution'",
    claim=(
        "A convolutional layer is a sparse matrix with shared entries: it combines neighbours "
        "only, and treats all places alike"
    ),
    rules=[
        Rule(
            claim="the lecture's sums give what the layers compute, once the kernel is flipped",
            place="Columbia, 'Convolutions II' and '2D convolution'",
            conditions=[
                Condition(
                    "2-D convolution by hand, relative difference from the layer", at_most=1e-6
                ),
                Condition("1-D matrix, relative difference from the layer", at_most=1e-6),
            ],
            reason="a sum of nine terms in float32 has about nine roundings of 6e-8",
        ),
        Rule(
            claim="a kernel that is not flipped gives something else",
            place="Columbia, 'Convolutions II'",
            conditions=[Condition("the same with a kernel that is not flipped", at_least=0.1)],
            reason="a tenth of the output, far above any rounding",
        ),
        Rule(
            claim="a shifted image gives the shifted outputs, which a dense layer does not",
            place="Columbia, 'Convolutions'",
            conditions=[
                Condition("convolution of a shifted image minus shifted convolution", at_most=1e-6),
                Condition("the same of a dense layer", at_least=0.1),
            ],
            reason="roundings of float32, against a tenth of the output",
        ),
        Rule(
            claim="a dense layer does not know which pixels are neighbours",
            place="Columbia, Optimization II, the slide on networks with convolutional layers",
            conditions=[
                Condition(
                    "dense layer with permuted pixels and weights, relative difference",
                    at_most=1e-13,
                )
            ],
            reason="another order of 144 terms in float64, each rounded by 1.1e-16",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay sweep cifar10-cnn --dry-run says how many parameters a network of convolutions has.",
        "Set _SHIFT to 5: fewer places are compared, and their difference stays at rounding.",
        "Replace the kernel in _build_step_picture by its transpose: which edges does it find?",
    ),
)
