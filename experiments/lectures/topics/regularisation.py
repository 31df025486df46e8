"""Penalties, dropout and early stopping for a large network on little data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import (
    Bench,
    TrainedConfiguration,
    TrainedStudy,
    compare,
    to_number,
)
from assay.experiments.lectures.drawing import draw_curves, draw_rows
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Table, columns

_SEEDS = 5
_LARGE, _SMALL = 1_000, 10
_STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "l1": (1e-5, 1e-4),
    "l2": (1e-4, 1e-3),
    "dropout": (0.3, 0.6),
}
"""Strengths that are tried of each; validation chooses one."""

_NAMES = {"l1": "an L1 penalty", "l2": "an L2 penalty", "dropout": "dropout"}
_STOPPING = "early stopping"
_GAP = "training accuracy minus test accuracy, nothing done"
_AGAINST_SMALL = f"{_LARGE} units with an L2 penalty minus {_SMALL} units: test accuracy"

_DATA = """
title = "A large network on few images of digits"
source = "Columbia, Optimization II, 'Practical issues II'"

[data]
name = "mnist"
train_images = {images}

[model]
family = "mlp"
activation = "relu"

[train]
epochs = {epochs}
learning_rate = 1e-3
batch_size = 32
"""
_SPACE = """
[space]
hidden_units = [{small}, {large}]
l1 = [0.0, 1e-5, 1e-4]
l2 = [0.0, 1e-4, 1e-3]
dropout = [0.0, 0.3, 0.6]
"""
_STOPPED = """early_stopping = 3

[space]
hidden_units = [{large}]

[[baseline]]
hidden_units = {large}
"""


def measure(bench: Bench) -> Measured:
    """Train a large network with each of them, and a small one, on few images."""
    sizes = {
        "images": bench.pick(toy=200, short=1_000, full=1_000),
        "epochs": bench.pick(toy=3, short=30, full=100),
    }
    data = _DATA.format(**sizes)
    trained = bench.train("regularisation", data + _list_configurations(), _SEEDS)
    stopped = bench.train("regularisation-stopped", data + _STOPPED.format(large=_LARGE), _SEEDS)
    plain = _find(trained, _LARGE)
    helped = {
        _NAMES[name]: _choose_strength(trained, name, strengths)
        for name, strengths in _STRENGTHS.items()
    }
    helped[_STOPPING] = stopped.find(hidden_units=_LARGE)
    small = _find(trained, _SMALL)
    gap = plain.curve("accuracy")[:, -1] - plain.scores.mean(axis=1)
    shares = {
        _share_name(name): _divide(compare({"a": one, "b": plain})["a", "b"], float(gap.mean()))
        for name, one in helped.items()
    }
    against = compare({"large": helped[_NAMES["l2"]], "small": small})["large", "small"]
    shown = {"nothing done": plain, **helped, f"{_SMALL} units": small}
    return Measured(
        numbers={
            _GAP: to_number(mean_interval(gap)),
            **shares,
            _AGAINST_SMALL: against,
            **{f"test accuracy, {name}": one.test for name, one in shown.items()},
        },
        pictures=[
            draw_rows(
                "regularisation",
                {name: one.test for name, one in shown.items()},
                "accuracy on the test set",
                f"Test accuracy of a network of {_LARGE} units on {sizes['images']:,} training "
                "images, with each of them: the mean over the seeds and its 95 % interval over "
                "new seeds.",
            ),
            draw_curves(
                "regularisation-curves",
                {
                    "loss": {
                        "training images": plain.curve("loss"),
                        "images not trained on": plain.curve("val_loss"),
                        "the same, L2": helped[_NAMES["l2"]].curve("val_loss"),
                    }
                },
                "Loss by epoch of the network without any of them, and with an L2 penalty, which "
                "is part of its loss: means over the seeds, with bands from lowest to highest.",
                "The loss on training images falls to nothing, that on others does not.",
            ),
        ],
        tables=[_strength_table(helped)],
        notes=[
            "The strength of a penalty and of dropout is the one whose mean val_accuracy over the "
            "seeds is highest; the test images choose nothing."
        ],
        studies=[trained.name, stopped.name],
    )


def _list_configurations() -> str:
    rows: list[dict[str, float]] = [{"hidden_units": _LARGE}, {"hidden_units": _SMALL}]
    rows += [
        {"hidden_units": _LARGE, name: strength}
        for name, strengths in _STRENGTHS.items()
        for strength in strengths
    ]
    text = _SPACE.format(small=_SMALL, large=_LARGE)
    for row in rows:
        values = {**dict.fromkeys(_STRENGTHS, 0.0), **row}
        text += "\n[[baseline]]\n"
        text += "".join(f"{name} = {value}\n" for name, value in values.items())
    return text


def _find(trained: TrainedStudy, units: int, **strengths: float) -> TrainedConfiguration:
    return trained.find(hidden_units=units, **{**dict.fromkeys(_STRENGTHS, 0.0), **strengths})


def _choose_strength(
    trained: TrainedStudy, name: str, strengths: tuple[float, ...]
) -> TrainedConfiguration:
    configurations = [_find(trained, _LARGE, **{name: strength}) for strength in strengths]
    return max(configurations, key=lambda one: one.curve("val_accuracy")[:, -1].mean())


def _share_name(name: str) -> str:
    return f"share of the gap that {name} closes"


def _divide(difference: Number, gap: float) -> Number:
    """Return a difference as a share of the gap, whose own uncertainty is left out."""
    low, high = (None if end is None else end / gap for end in (difference.low, difference.high))
    return Number(difference.value / gap, low, high, difference.seeds)


def _strength_table(helped: Mapping[str, TrainedConfiguration]) -> Table:
    return Table(
        "What validation chose, and epochs that were trained.",
        columns("", "#strength", "#epochs"),
        [
            [
                name,
                next(
                    (
                        f"{one.params[key]:g}"
                        for key in _STRENGTHS
                        if one.params.get(key, 0.0) > 0.0
                    ),
                    "",
                ),
                f"{np.mean([len(training.epochs) for training in one.trainings]):.3g}",
            ]
            for name, one in helped.items()
        ],
    )


EXPERIMENT = LectureExperiment(
    name="regularisation",
    title="A large network on little data",
    source=(
        "Fraida Fund, 'Deep networks'; Columbia, Optimization II, 'Practical issues II: "
        "Architecture choice'; OSU ECE 5307 unit 8, 'Fine-tuning the implementation'"
    ),
    claim=(
        "A large network on little data overfits, and penalties, dropout and early stopping each "
        "close part of the gap"
    ),
    rules=[
        Rule(
            claim="a network with many parameters overfits little data",
            place="Fund, 'Deep networks'",
            conditions=[Condition(_GAP, at_least=0.05)],
            reason="five points: the check of a study calls training and validation far apart then",
        ),
        Rule(
            claim="each of them closes part of the gap between training and test accuracy",
            place="OSU, 'Fine-tuning the implementation'",
            conditions=[
                Condition(_share_name(name), at_least=0.05)
                for name in (*_NAMES.values(), _STOPPING)
            ],
            reason="a twentieth of the gap",
        ),
        Rule(
            claim="a large network that is regularised is better than a small one",
            place="Columbia, 'Practical issues II: Architecture choice'",
            conditions=[Condition(_AGAINST_SMALL, at_least=0.01)],
            reason="a point of accuracy",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set l2=0.001: does a penalty help where there are 50,000 images?",
        "assay run mnist-mlp --set hidden_units=1000 --set dropout=0.5: and dropout?",
        "assay lectures regularisation --full: 100 epochs. Does the network get worse in the end?",
    ),
    minutes=4,
)
