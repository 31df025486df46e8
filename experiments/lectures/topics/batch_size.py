"""Batch size: time, epochs and accuracy, with the rate kept and with the rate tuned for each."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np

from assay.experiments.lectures.bench import (
    Bench,
    TrainedConfiguration,
    TrainedStudy,
    compare,
)
from assay.experiments.lectures.drawing import draw_curves, draw_rows
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Table, columns

_SEEDS = 5
_SIZES = (4, 64, 1_024)
_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
_KEPT_RATE = 1e-3
"""Adam's usual rate (Kingma and Ba, 2015), which the lectures use too."""

_ENOUGH = 0.9
"""Accuracy on images that were not trained on, whose first epoch is counted."""

_SMALLEST, _LARGEST = _SIZES[0], _SIZES[-1]
_COST = f"seconds of a step of {_SIZES[1]} images, in steps of {_SMALLEST}"
_EPOCH = f"seconds of an epoch in batches of {_SMALLEST}, in epochs of batches of {_LARGEST}"
_KEPT_GAP = f"test accuracy, batches of {_SMALLEST} minus {_LARGEST}, rate kept"
_TUNED_GAP = f"test accuracy, batches of {_SMALLEST} minus {_LARGEST}, rate tuned"

_NETWORKS = """
title = "Batch sizes and learning rates on MNIST"
source = "NYU Tandon CS-UY 4563, lecture 16, 'Mini-batch gradient descent'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "mlp"
hidden_units = 100

[train]
epochs = {epochs}
optimizer = "adam"

[space]
batch_size = {sizes}
learning_rate = {rates}
"""
_BASELINE = """
[[baseline]]
batch_size = {size}
learning_rate = {rate}
"""


def measure(bench: Bench) -> Measured:
    """Train a network with each batch size and rate, on several seeds."""
    text = _NETWORKS.format(
        images=bench.pick(toy=2_000, short=10_000, full=50_000),
        epochs=bench.pick(toy=2, short=10, full=20),
        sizes=list(_SIZES),
        rates=list(_RATES),
    )
    rates = bench.pick(toy=_RATES[1:3], short=_RATES, full=_RATES)
    text += "".join(_BASELINE.format(size=size, rate=rate) for size in _SIZES for rate in rates)
    trained = bench.train("batch-size", text, _SEEDS)
    kept = {size: trained.find(batch_size=size, learning_rate=_KEPT_RATE) for size in _SIZES}
    tuned = {size: _choose_rate(trained, size, rates) for size in _SIZES}
    seconds = {size: _epoch_seconds(one) for size, one in kept.items()}
    steps = {size: seconds[size] * size for size in _SIZES}  # up to the number of images
    kept_gap = _gap(kept)
    tuned_gap = _gap(tuned)
    shown = {
        **{f"{size} images, rate kept": one.test for size, one in kept.items()},
        **{f"{size} images, rate tuned": one.test for size, one in tuned.items()},
    }
    return Measured(
        numbers={
            _COST: Number(steps[_SIZES[1]] / steps[_SMALLEST]),
            _EPOCH: Number(seconds[_SMALLEST] / seconds[_LARGEST]),
            _KEPT_GAP: kept_gap,
            _TUNED_GAP: tuned_gap,
            **{f"seconds of an epoch, batches of {size}": Number(seconds[size]) for size in _SIZES},
        },
        pictures=[
            draw_curves(
                "batch-size-curves",
                {
                    "accuracy, rate kept": _curves(kept),
                    "accuracy, rate tuned": _curves(tuned),
                },
                "Accuracy by epoch on images that were not trained on: the mean over the seeds, "
                "and a band from the lowest to the highest of them. Above, every batch size has "
                f"the rate {_KEPT_RATE:g}; below, each has the rate that is best for it.",
                "With the rate kept, large batches learn less in each epoch.",
            ),
            draw_rows(
                "batch-size-accuracy",
                shown,
                "accuracy on the test set",
                "Test accuracy at the end: the mean over the seeds and its 95 % interval.",
            ),
        ],
        tables=[_rate_table(kept, tuned)],
        notes=[
            "The tuned rate is the one whose mean val_accuracy over the seeds is highest; the test "
            "images choose nothing."
        ],
        studies=[trained.name],
    )


def _choose_rate(
    trained: TrainedStudy, size: int, rates: tuple[float, ...]
) -> TrainedConfiguration:
    configurations = [trained.find(batch_size=size, learning_rate=rate) for rate in rates]
    return max(configurations, key=lambda one: one.curve("val_accuracy")[:, -1].mean())


def _epoch_seconds(configuration: TrainedConfiguration) -> float:
    """Return the median time of an epoch; the first one, which compiles, is left out."""
    seconds = [epoch.seconds for one in configuration.trainings for epoch in list(one.epochs)[1:]]
    return statistics.median(seconds)


def _gap(configurations: Mapping[int, TrainedConfiguration]) -> Number:
    ends = {str(size): configurations[size] for size in (_SMALLEST, _LARGEST)}
    return compare(ends)[str(_SMALLEST), str(_LARGEST)]


def _curves(
    configurations: Mapping[int, TrainedConfiguration],
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    return {f"{size} images": one.curve("val_accuracy") for size, one in configurations.items()}


def _rate_table(
    kept: Mapping[int, TrainedConfiguration], tuned: Mapping[int, TrainedConfiguration]
) -> Table:
    return Table(
        f"Epochs until the mean accuracy on images not trained on is {_ENOUGH:g}.",
        columns("#batch size", "#epochs, rate kept", "#best rate", "#epochs, best rate"),
        [
            [
                str(size),
                _epochs_until(kept[size]),
                f"{tuned[size].params['learning_rate']:g}",
                _epochs_until(tuned[size]),
            ]
            for size in _SIZES
        ],
    )


def _epochs_until(configuration: TrainedConfiguration) -> str:
    mean = configuration.curve("val_accuracy").mean(axis=0)
    reached = np.flatnonzero(mean >= _ENOUGH)
    return str(int(reached[0]) + 1) if reached.size else f"more than {mean.size}"


EXPERIMENT = LectureExperiment(
    name="batch-size",
    title="Batch size",
    source=(
        "NYU Tandon CS-UY 4563, lecture 16, 'Mini-batch gradient descent'; Neural Networks, "
        "'Do we need to use only one sample?'"
    ),
    claim=(
        "A step on a small batch costs nearly what a step on one sample does, so batches make "
        "epochs faster"
    ),
    rules=[
        Rule(
            claim="a step on a small batch costs nearly what a step on a few samples does",
            place="NYU, 'Mini-batch gradient descent'",
            conditions=[Condition(_COST, at_most=2)],
            reason="twice the time for sixteen times as many images",
        ),
        Rule(
            claim="large batches make an epoch faster",
            place="NYU, 'Mini-batch gradient descent'",
            conditions=[Condition(_EPOCH, at_least=4)],
            reason="four times: far more than times vary from epoch to epoch",
        ),
        Rule(
            claim="with the same rate, large batches learn less in the same number of epochs",
            place="NYU, 'Stochastic gradient descent'",
            conditions=[Condition(_KEPT_GAP, at_least=0.01)],
            reason="a point of accuracy",
        ),
        Rule(
            claim="a rate that is tuned for each batch size makes up for that",
            place="OSU ECE 5307 unit 8, 'Fine-tuning the implementation'",
            conditions=[Condition(_TUNED_GAP, at_least=-0.01, at_most=0.01)],
            reason="the same point, to either side",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set batch_size=8, then 512: compare epoch_seconds and val_accuracy.",
        "Multiply batch size and learning rate by the same number: does the curve stay the same?",
        "assay sweep mnist-mlp --set batch_size=512: which learning rates does the search like?",
    ),
)
