"""A small prepared folder, and one thread count for all tests of this process."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from assay.models.backends import current_backend
from assay.models.data import TrainingData, load_training_data
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import folder, own_nets, rows

__all__ = ["folder", "own_nets", "rows"]


@pytest.fixture(scope="session", autouse=True)
def threads() -> int:
    """Set one thread before any operation; TensorFlow's default if one already ran."""
    try:
        current_backend().set_threads(1)
    except RuntimeError:
        return 0
    return 1


@pytest.fixture(scope="session")
def data(folder: Path) -> TrainingData:
    return load_training_data(folder, "unit")


@pytest.fixture(scope="session")
def trainer(threads: int) -> Trainer:
    # As in a worker: the garbage collection after each trial then visits the trial's objects alone.
    gc.collect()
    gc.freeze()
    return Trainer(threads)
