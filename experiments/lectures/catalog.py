"""The lecture experiments by name, in the order of the report."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from assay.experiments.lectures.lecture import LectureExperiment
from assay.models.names import check_name

NAMES = (
    "backprop-by-hand",
    "losses-and-logits",
    "activations",
    "sgd-family",
    "learning-rate",
    "vanishing-gradient",
    "initialisation",
    "perceptron",
    "linear-network",
    "decision-regions",
    "universal-approximation",
    "deep-or-wide",
    "regularisation",
    "batch-size",
    "mnist-two-layer",
    "convolution",
    "parameter-count",
)
"""Each is a module of `topics`, which defines EXPERIMENT."""


def load_experiment(name: str) -> LectureExperiment:
    """Return an experiment by its name.

    Raises:
        RequestError: there is no such experiment.
    """
    check_name("lecture experiment", name, NAMES)
    module = importlib.import_module(f"assay.experiments.lectures.topics.{name.replace('-', '_')}")
    experiment: LectureExperiment = module.EXPERIMENT
    return experiment


def load_experiments(names: Sequence[str] = ()) -> list[LectureExperiment]:
    """Return experiments by their names, each once; without any, all.

    Raises:
        RequestError: there is no such experiment.
    """
    return [load_experiment(name) for name in dict.fromkeys(names or NAMES)]
