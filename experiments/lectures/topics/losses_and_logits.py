"""Losses: from logits or from probabilities, against the margin, and trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from assay.experiments.lectures.bench import Bench, compare
from assay.experiments.lectures.drawing import draw_rows
from assay.experiments.lectures.generated_data import save_dataset
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    drawing,
    legend_above,
    new_figure,
)
from assay.models.analysis.cross_entropy import compute_cross_entropy
from assay.models.analysis.outputs import compute_outputs

_Floats = NDArray[np.float32]
_SEEDS = 5
_CLASSES = 10
_OUTLIER_SHARE, _OUTLIER_SHIFT = 0.1, 10.0

_CLASSIFIERS = """
title = "One network on MNIST with three losses"
source = "OSU ECE 5307 unit 8, 'Loss functions for training'"

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
loss = ["cross_entropy", "squared_error", "hinge"]

[[baseline]]
loss = "cross_entropy"

[[baseline]]
loss = "squared_error"

[[baseline]]
loss = "hinge"
"""
_REGRESSIONS = """
title = "A line with outliers, by L2 and by L1"
source = "'Neural Networks', 'L1 Loss' and 'L2 Loss'"
task = "regression"

[data]
name = {data}

[model]
family = "linear"

[train]
epochs = {epochs}
learning_rate = 0.05
batch_size = 50
schedule = "cosine"

[space]
loss = ["squared_error", "absolute_error"]

[[baseline]]
loss = "squared_error"

[[baseline]]
loss = "absolute_error"
"""

MARGIN_LOSSES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "0-1": lambda m: (m <= 0).astype(np.float64),
    "hinge": lambda m: np.maximum(0.0, 1.0 - m),
    "cross entropy / log 2": lambda m: np.logaddexp(0.0, -m) / math.log(2.0),
    "L2": lambda m: (1.0 - m) ** 2,
    "L1": lambda m: np.abs(1.0 - m),
}
"""Losses of a label y of -1 or 1 and an output f, as functions of the margin m = y f."""


def measure(bench: Bench) -> Measured:
    """Compute losses of given outputs, and train with several losses."""
    sizes = {
        "images": bench.pick(toy=500, short=10_000, full=50_000),
        "epochs": bench.pick(toy=2, short=10, full=30),
    }
    seeds = bench.pick(toy=3, short=_SEEDS, full=_SEEDS)
    classifiers = bench.train("losses-and-logits", _CLASSIFIERS.format(**sizes), seeds)
    data = save_dataset(
        bench, "outliers", make_outliers(bench.pick(toy=200, short=2_000, full=20_000))
    )
    regressions = bench.train(
        "losses-and-logits-outliers",
        _REGRESSIONS.format(data=json.dumps(data), epochs=bench.pick(toy=60, short=30, full=30)),
        seeds,
    )
    trained = {
        name.replace("_", " "): classifiers.find(loss=name)
        for name in ("cross_entropy", "squared_error", "hinge")
    }
    lines = {
        "L2": regressions.find(loss="squared_error"),
        "L1": regressions.find(loss="absolute_error"),
    }
    classified, fitted = compare(trained), compare(lines)
    margins = np.arange(0.0, 121.0)
    numbers = {
        "largest difference of both forms, margins from -80 to 80": Number(measure_difference(80)),
        "margin from which log softmax is not finite": Number(find_overflow()),
        "relative error from logits at a margin of 10,000": Number(
            abs(float(logits_loss(_outputs(np.array([1e4])))[0]) / 1e4 - 1.0)
        ),
        "loss of all-zero logits minus log K": Number(
            abs(float(logits_loss(np.zeros((1, _CLASSES), np.float32))[0]) - math.log(_CLASSES))
        ),
        "loss at initialisation over log K": Number(measure_initial_loss() / math.log(_CLASSES)),
        "smallest loss with softmax twice": Number(
            float(logits_loss(np.eye(_CLASSES, dtype=np.float32)[:1], label=0)[0])
        ),
        "smallest hinge minus 0-1": Number(_smallest_gap("hinge")),
        "smallest cross entropy / log 2 minus 0-1": Number(_smallest_gap("cross entropy / log 2")),
        "smallest L2 minus 0-1": Number(_smallest_gap("L2")),
        "L2 at a margin of 3 minus at 0": Number(
            float(MARGIN_LOSSES["L2"](np.array([3.0]))[0] - MARGIN_LOSSES["L2"](np.zeros(1))[0])
        ),
        "cross entropy minus squared error": classified["cross entropy", "squared error"],
        "cross entropy minus hinge": classified["cross entropy", "hinge"],
        "error of L2 minus error of L1, outliers": fitted["L2", "L1"],
        **{f"test accuracy, {name}": one.test for name, one in trained.items()},
        **{f"mean absolute error, {name}": one.test for name, one in lines.items()},
        "Keras' loss from probabilities at a margin of 100": Number(
            float(
                compute_cross_entropy(
                    softmax(_outputs(np.array([100.0]))), np.zeros(1), from_logits=False
                )[0]
            )
        ),
    }
    return Measured(
        numbers=numbers,
        pictures=[
            _build_margin_picture(),
            _build_saturation_picture(margins),
            draw_rows(
                "losses-and-logits-accuracy",
                {name: one.test for name, one in trained.items()},
                "accuracy on the test set",
                "Test accuracy of one network trained with three losses: the mean over the seeds "
                "and its 95 % interval over new seeds.",
            ),
            draw_rows(
                "losses-and-logits-outliers",
                {name: one.test for name, one in lines.items()},
                "mean absolute error on the test set",
                f"A line fitted to targets of which {_OUTLIER_SHARE:.0%} are {_OUTLIER_SHIFT:g} "
                "too high, and its error on targets without outliers.",
            ),
        ],
        notes=[
            "Keras limits probabilities to at least 1e-7, so that its loss from probabilities is "
            "finite, but no larger than 16.1, and has no gradient beyond.",
            "A network whose outputs pass a softmax, and then a loss that takes logits, has a loss "
            "of at least log(e + K - 1) - 1, however sure it is. Assay refuses to train it.",
        ],
        studies=[classifiers.name, regressions.name],
    )


def make_outliers(examples: int) -> Mapping[str, NDArray[np.float64]]:
    """Return a line 2 x + 1 with noise of 0.1, whose training targets are partly too high."""
    random = np.random.default_rng(0)
    arrays: dict[str, NDArray[np.float64]] = {}
    for part, count in (("train", examples), ("test", 2_000)):
        x = random.uniform(-1.0, 1.0, (count, 1))
        y = 2.0 * x + 1.0 + random.normal(0.0, 0.1, x.shape)
        if part == "train":
            y[random.random(count) < _OUTLIER_SHARE] += _OUTLIER_SHIFT
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    return arrays


def softmax(logits: _Floats) -> _Floats:
    """Return softmax in float32 (examples, classes), without overflow."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def probability_loss(logits: _Floats, label: int = 0) -> _Floats:
    """Return -log of the softmax of a class in float32: infinite where that is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(softmax(logits)[:, label]), np.float32)


def logits_loss(logits: _Floats, label: int = 0) -> _Floats:
    """Return the same from the logits: log of the sum of e^z, minus z of the class."""
    largest = logits.max(axis=1)
    total = np.log(np.exp(logits - largest[:, None]).sum(axis=1))
    return np.asarray(total + (largest - logits[:, label]), np.float32)


def _outputs(margins: NDArray[np.float64]) -> _Floats:
    """Return logits of two classes, of which class 0 is behind by these margins."""
    return np.stack([np.zeros_like(margins), margins], axis=1).astype(np.float32)


def measure_difference(most: int) -> float:
    """Return the largest difference of both forms, for margins from minus this one to this one."""
    logits = _outputs(np.linspace(-most, most, 20 * most + 1))
    return float(np.abs(probability_loss(logits) - logits_loss(logits)).max())


def find_overflow() -> float:
    """Return the first margin, in steps of a hundredth, where -log softmax is not finite."""
    margins = np.arange(0.0, 200.0, 0.01)
    return float(margins[~np.isfinite(probability_loss(_outputs(margins)))][0])


def measure_initial_loss() -> float:
    """Return the mean loss of an untrained network 784-100-10, over five draws of its weights.

    Weights are Glorot's; a fifth of the pixels are between 0 and 1, as in MNIST, the others 0.
    """
    losses = []
    for seed in range(_SEEDS):
        random = np.random.default_rng(seed)
        x = random.uniform(size=(500, 784)) * (random.random((500, 784)) < 0.2)
        weights = []
        for inputs, units in ((784, 100), (100, _CLASSES)):
            limit = math.sqrt(6.0 / (inputs + units))
            weights += [random.uniform(-limit, limit, (inputs, units)), np.zeros(units)]
        outputs = compute_outputs("mlp", {"hidden_units": 100}, weights, x)
        labels = random.integers(_CLASSES, size=len(x))
        losses.append(compute_cross_entropy(outputs, labels, from_logits=True).mean())
    return float(np.mean(losses))


def _smallest_gap(name: str) -> float:
    margins = np.linspace(-3.0, 3.0, 601)
    return float((MARGIN_LOSSES[name](margins) - MARGIN_LOSSES["0-1"](margins)).min())


_MARGIN_COLORS = dict(zip(MARGIN_LOSSES, (INK, ORANGE, BLUE, PURPLE, GREY), strict=True))


def _build_margin_picture() -> Picture:
    return Picture(
        name="losses-and-logits-margin",
        caption=(
            "Losses of a label y of -1 or 1 and an output f against the margin y f: negative "
            "margins are wrong. The 0-1 loss counts errors and has no slope; hinge, cross entropy "
            "and L2 lie above it. L1 and L2 rise again where the output is right by more than 1."
        ),
        alt=(
            "Hinge loss and cross entropy fall with the margin; L2 is 1 at a margin of 0, 0 at a "
            "margin of 1, and 4 at a margin of 3."
        ),
        svg=_draw_margins(),
    )


@drawing
def _draw_margins() -> Figure:
    figure, (axes,) = new_figure(3.3)
    margins = np.linspace(-2.5, 3.0, 551)
    axes.axvspan(-2.5, 0.0, color=GREY, alpha=0.08, lw=0)
    for name, loss in MARGIN_LOSSES.items():
        # Dashes and on top: up to a margin of 1 L1 is the hinge loss.
        style, order = ((0, (3, 2)), 3) if name == "hinge" else ("-", 2)
        color = _MARGIN_COLORS[name]
        axes.plot(margins, loss(margins), color=color, lw=1.9, ls=style, zorder=order)
    axes.text(-2.4, 0.25, "wrong", color=GREY)
    axes.text(2.9, 0.25, "right", color=GREY, ha="right")
    axes.set(xlabel="margin y f", ylabel="loss", ylim=(0, 5), xlim=(-2.5, 3.0))
    legend_above(
        figure,
        [Line2D([], [], color=color, label=name) for name, color in _MARGIN_COLORS.items()],
        columns=3,
    )
    return figure


def _build_saturation_picture(margins: NDArray[np.float64]) -> Picture:
    return Picture(
        name="losses-and-logits-saturation",
        caption=(
            "Cross entropy in float32 of an example whose class is behind by a margin. From the "
            "logits it is the margin. From probabilities it is right until the softmax is 0 in "
            "float32, and infinite beyond (where its line ends); Keras limits probabilities, and "
            "its loss stays at 16.1 whatever the network does."
        ),
        alt=(
            f"The loss from probabilities ends at a margin of {find_overflow():.0f}, that of Keras "
            "is level from a margin of 16, that from logits goes on."
        ),
        svg=_draw_saturation(margins),
    )


@drawing
def _draw_saturation(margins: NDArray[np.float64]) -> Figure:
    figure, (axes,) = new_figure(3.0)
    logits = _outputs(margins)
    clipped = compute_cross_entropy(softmax(logits), np.zeros(len(margins)), from_logits=False)
    axes.plot(margins, logits_loss(logits), color=BLUE, lw=4.5, alpha=0.35)
    plain = probability_loss(logits)
    is_finite = np.isfinite(plain)
    axes.plot(margins[is_finite], plain[is_finite], color=INK, lw=1.4)
    axes.plot(margins[is_finite][-1], plain[is_finite][-1], "x", color=INK, ms=7)
    axes.plot(margins, clipped, color=ORANGE, lw=1.7)
    axes.set(xlabel="margin by which the class is behind", ylabel="loss")
    names = {"from logits": BLUE, "-log softmax": INK, "Keras, from probabilities": ORANGE}
    legend_above(figure, [Line2D([], [], color=color, label=name) for name, color in names.items()])
    return figure


EXPERIMENT = LectureExperiment(
    name="losses-and-logits",
    title="Losses, logits and probabilities",
    source=(
        "OSU ECE 5307 unit 8, 'Loss functions for training' and 'PyTorch loss options: Be "
        "careful!'; 'Neural Networks', 'Loss Function', 'L1 Loss', 'L2 Loss', 'Zero-One Loss' and "
        "'Hinge Loss'; NYU Tandon CS-UY 4563 lecture 16, 'Hyperparameters'"
    ),
    claim=(
        "Cross entropy can be computed from logits or from probabilities, with the same result as "
        "long as they are not confused; which loss is better depends on the task"
    ),
    rules=[
        Rule(
            claim="both forms agree until the softmax saturates; then only logits give a number",
            place="OSU unit 8, 'PyTorch loss options: Be careful!'",
            conditions=[
                Condition("largest difference of both forms, margins from -80 to 80", at_most=2e-5),
                Condition("margin from which log softmax is not finite", at_least=87, at_most=104),
                Condition("relative error from logits at a margin of 10,000", at_most=1e-6),
            ],
            reason=(
                "a rounding of float32 at a loss of 80 is 7.6e-6 at most, and each form has two or "
                "three; its smallest numbers are e^-87.3 with all digits and e^-103.3 with one, to "
                "which half of it, e^-104, is rounded"
            ),
        ),
        Rule(
            claim="before training the loss is log K: each class is as likely as the others",
            place="OSU unit 8, 'Loss functions for training'",
            conditions=[
                Condition("loss of all-zero logits minus log K", at_most=3e-7),
                Condition("loss at initialisation over log K", at_least=0.9, at_most=1.1),
            ],
            reason=(
                "a rounding of float32 at 2.3; a tenth, since the logits of an untrained network "
                "are small and not zero, and a network that is wrong and sure has a loss far above"
            ),
        ),
        Rule(
            claim="a softmax before a loss that takes logits keeps the loss from falling",
            place="OSU unit 8, 'PyTorch loss options: Be careful!'",
            conditions=[Condition("smallest loss with softmax twice", at_least=1.4, at_most=1.5)],
            reason="log(e + 9) - 1 is 1.461: the loss of a network that is right and quite sure",
        ),
        Rule(
            claim="hinge, L2 and cross entropy bound the number of errors from above",
            place="'Neural Networks', 'Zero-One Loss' and 'Hinge Loss'",
            conditions=[
                Condition("smallest hinge minus 0-1", at_least=0),
                Condition("smallest cross entropy / log 2 minus 0-1", at_least=0),
                Condition("smallest L2 minus 0-1", at_least=0),
            ],
            reason="a bound has no exception; cross entropy is divided by log 2, its value at 0",
        ),
        Rule(
            claim="L2 punishes outputs that are right by far as it does wrong ones",
            place="'Neural Networks', 'L2 Loss'",
            conditions=[Condition("L2 at a margin of 3 minus at 0", at_least=1)],
            reason="more than the loss of an output that says nothing, which is 1",
        ),
        Rule(
            claim="for classes cross entropy does as well as squared error and hinge, or better",
            place="OSU unit 8, 'Loss functions for training'",
            conditions=[
                Condition("cross entropy minus squared error", at_least=-0.005),
                Condition("cross entropy minus hinge", at_least=-0.005),
            ],
            reason="half a point: a smaller gain is no reason to change the loss",
        ),
        Rule(
            claim="L1 is not led astray by outliers as L2 is",
            place="'Neural Networks', 'Loss Function', 'L1 Loss' and 'L2 Loss'",
            conditions=[Condition("error of L2 minus error of L1, outliers", at_least=0.5)],
            reason=(
                "a tenth of the targets is 10 too high, which moves the mean by 1 and the median "
                "by less than the noise: half of that difference"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set loss=binary_cross_entropy: each digit against the rest.",
        "Set _OUTLIER_SHARE to 0.6 and measure again with a new --home: which of the two losses "
        "fits the line now, and which line?",
        "assay run mnist-mlp --set loss=absolute_error: with one class in ten, outputs of 0 have a "
        "loss of only 0.1. Does the network leave them?",
    ),
)
