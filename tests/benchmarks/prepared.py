"""MNIST as workers read it."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.data.preparation import prepare
from assay.experiments.data.settings import DataSettings
from tests.benchmarks.configurations import Configuration
from tests.benchmarks.peers.common import VALIDATION_IMAGES


def prepared(mnist: Path, home: Path) -> Path:
    """Return the folder of the prepared MNIST.

    It has 50,000 images for training and 10,000 for validation.
    """
    return prepare(
        DataSettings(name="mnist", validation=VALIDATION_IMAGES), home, mnist.parent
    ).folder


def spec(configuration: Configuration, folder: Path, epochs: int) -> dict[str, object]:
    """Return the trial specification for a worker."""
    train = {
        "batch_size": configuration["batch_size"],
        "learning_rate": configuration["learning_rate"],
    }
    return {
        "seed": 0,
        "family": "mlp",
        "model": {
            "hidden_units": configuration["hidden_units"],
            "activation": configuration["activation"],
        },
        "train": {"optimizer": "adam", "epochs": epochs, **train},
        "data": {"folder": str(folder), "scale": "unit"},
    }
