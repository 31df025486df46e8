"""MNIST as a worker reads it."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.data.preparation import prepare
from assay.experiments.data.settings import DataSettings
from tests.benchmarks.configurations import Configuration
from tests.benchmarks.peers.common import VALIDATION_IMAGES


def prepared(mnist: Path, home: Path) -> Path:
    """Return a folder of 50,000 images to train on and 10,000 that validate."""
    return prepare(
        DataSettings(name="mnist", validation=VALIDATION_IMAGES), home, mnist.parent
    ).folder


def spec(configuration: Configuration, folder: Path, epochs: int) -> dict[str, object]:
    """Return what a worker is told to train."""
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
