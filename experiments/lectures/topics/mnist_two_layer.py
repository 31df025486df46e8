"""The lectures' network on MNIST: 100 sigmoid units, Adam, 50,000 training images."""

from __future__ import annotations

import numpy as np

from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, TrainedConfiguration, to_number
from assay.experiments.lectures.drawing import draw_curves
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture

_NETWORK = """
title = "The lecture's two-layer network on MNIST"
source = "OSU ECE 5307 unit 8, 'Application to MNIST'"

[data]
name = "mnist"
validation = 10000
{subset}

[model]
family = "mlp"
activation = "sigmoid"

[train]
epochs = {epochs}
optimizer = "adam"
learning_rate = 1e-3
batch_size = 100

[space]
hidden_units = [100]

[[baseline]]
hidden_units = 100
"""

_SEEDS = 5


def measure(bench: Bench) -> Measured:
    """Train the network on several seeds, and measure each on the 10,000 test images."""
    text = _NETWORK.format(
        epochs=bench.pick(toy=2, short=10, full=30),
        subset=bench.pick(toy="train_images = 500", short="", full=""),
    )
    trained = bench.train("mnist-two-layer", text, seeds=_SEEDS)
    network = trained.find(hidden_units=100)
    loss, accuracy = network.curve("loss"), network.curve("val_accuracy")
    falls = np.diff(loss.mean(axis=0)) < 0
    gain = accuracy[:, -1] - accuracy[:, 0]
    return Measured(
        numbers={
            "test accuracy": network.test,
            "share of epochs in which the mean loss falls": Number(float(falls.mean())),
            "val_accuracy, last epoch minus first": to_number(mean_interval(gain)),
        },
        pictures=[_build_picture(network)],
        studies=[trained.name],
    )


def _build_picture(network: TrainedConfiguration) -> Picture:
    names = {"training images": "", "images not trained on": "val_"}
    panels = {
        metric: {name: network.curve(f"{prefix}{metric}") for name, prefix in names.items()}
        for metric in ("accuracy", "loss")
    }
    last = panels["accuracy"]["images not trained on"][:, -1].mean()
    return draw_curves(
        "mnist-two-layer",
        panels,
        "Accuracy and loss by epoch: the mean over the seeds, and a band from the lowest to the "
        "highest of them.",
        f"The accuracy on images that were not trained on rises to {last:.4f}.",
    )


EXPERIMENT = LectureExperiment(
    name="mnist-two-layer",
    title="The lecture's network on MNIST",
    source="OSU ECE 5307 unit 8, 'Application to MNIST' and 'Performance vs. epoch'",
    claim=(
        "A network of 100 sigmoid units, trained by Adam at 0.001 on 50,000 images, classifies "
        "handwritten digits, and gets better from epoch to epoch"
    ),
    rules=[
        Rule(
            claim="the network classifies the 10,000 test images well",
            place="'Application to MNIST'",
            conditions=[Condition("test accuracy", at_least=0.953)],
            reason=(
                "LeCun et al. (1998) measured an error of 4.7 % for a two-layer network of 300 "
                "units on these images"
            ),
        ),
        Rule(
            claim="over the epochs the loss falls and the accuracy rises",
            place="'Performance vs. epoch'",
            conditions=[
                Condition("share of epochs in which the mean loss falls", at_least=0.9),
                Condition("val_accuracy, last epoch minus first", at_least=0.01),
            ],
            reason="nine epochs of ten, and a gain of a point: more than one epoch's noise",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set activation=tanh: one word changed, and the curve begins higher.",
        "assay run mnist-mlp --epochs 40: when does the accuracy on new images stop rising?",
        "assay sweep mnist-mlp: 50 trials over units, activation, batch size and learning rate.",
    ),
)
