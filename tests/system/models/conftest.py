"""A small prepared folder, and one thread count for all tests of this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from assay.models.backends import current_backend
from assay.models.data import TrainingData, load_training_data
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign, folder, own_nets, rows

__all__ = ["folder", "own_nets", "rows"]

WriteFactory: TypeAlias = Callable[..., dict[str, Any]]


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


@pytest.fixture(autouse=True)
def path_is_restored() -> Iterator[None]:
    """Restore the path, to which an import of a user's file adds folders."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> WriteFactory:
    """Return a function that writes nets.py and returns a trial spec for it."""

    def write(
        source: str, reference: str = "nets.py:build", data: Path = folder, **tables: Any
    ) -> dict[str, Any]:
        (tmp_path / "nets.py").write_text(source)
        return assign(data, reference, folders=[tmp_path], **tables)

    return write
