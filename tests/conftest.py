"""Fixtures for all tests; no test reads or writes the user's files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.run import execution
from assay.experiments.tracking.addresses import update_addresses
from assay.experiments.tracking.store import MLFLOW_VARIABLES
from assay.experiments.workspace import StorePaths
from tests.helpers.command import SWEEP, Swept, assay
from tests.helpers.once import once
from tests.helpers.paths import ROOT
from tests.helpers.postgresql import PostgreSQL, missing

REAL_DATA = os.environ.get("ASSAY_DATA_DIR")


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: Path) -> None:
    """Point all default locations at empty folders."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(shared / "jax"))  # one for all tests
    # Tests that use a tracker without a command must not wait minutes for an unreachable server.
    for name, value in MLFLOW_VARIABLES.items():
        monkeypatch.setenv(name, value)
    # A test may make a stub of nvidia importable: the search for nvidia.cudnn imports nvidia.
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    for name in (
        "ASSAY_HOME",
        "ASSAY_DATA_DIR",
        "ASSAY_STORAGE",
        "MLFLOW_TRACKING_URI",
        "KERAS_BACKEND",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the real data sets, or skip."""
    if REAL_DATA is None or not Path(REAL_DATA).is_dir():
        pytest.skip("needs the real MNIST and CIFAR-10: name their folder in ASSAY_DATA_DIR")
    return Path(REAL_DATA).resolve()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MNIST-like file that leaves 600 training images after validation."""
    random = np.random.default_rng(0)
    labels = np.arange(10_600) % 10
    x = random.integers(0, 100, (len(labels), 28, 28)).astype(np.uint8)
    x[np.arange(len(labels)), labels] += 150  # a bright row at the label's position
    file = tmp_path_factory.mktemp("data") / "mnist.npz"
    np.savez(
        file,
        x_train=x,
        y_train=labels.astype(np.uint8),
        x_test=x[:50],
        y_test=labels[:50].astype(np.uint8),
    )
    return file


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server for the tests, or skip."""
    if (why := missing()) is not None:
        pytest.skip(why)
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder shared by all pytest-xdist processes."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def swept(shared: Path) -> Iterator[Swept]:
    """Sweep once with a real backend; tests must not change the result."""
    folder = shared / "swept"
    home, said = folder / "home", folder / "said.json"
    with once(folder) as new:
        if new:
            done = assay(*SWEEP, "--home", str(home))
            assert done.code == 0, done.err
            files = {str(path): path.stat().st_mtime_ns for path in home.rglob("*")}
            said.write_text(json.dumps([done.answer, done.err, files]))
    answer, err, files = json.loads(said.read_text())
    yield Swept(home, answer, err)
    assert {str(path): path.stat().st_mtime_ns for path in home.rglob("*")} == files


@pytest.fixture(scope="session")
def empty_store(shared: Path) -> Path:
    """Return an MLflow store with empty tables, to be copied."""
    from mlflow import MlflowClient  # imported here, because it takes seconds and few tests need it

    store = shared / "store" / "mlflow.db"
    with once(store.parent) as new:
        if new:
            MlflowClient(f"sqlite:///{store}").search_experiments()
    return store


@pytest.fixture
def store_paths(swept: Swept, tmp_path: Path) -> StorePaths:
    """Return a copy of the swept home that a test may change."""
    shutil.copytree(swept.home, tmp_path / "home")
    store_paths = StorePaths.choose(home=tmp_path / "home")
    update_addresses(store_paths.workspace)
    return store_paths


@pytest.fixture
def home(swept: Swept, empty_store: Path, tmp_path: Path) -> Path:
    """Return a new home with the prepared digits and empty MLflow tables."""
    home = tmp_path / "home"
    shutil.copytree(swept.home / "data", home / "data")
    shutil.copy(empty_store, home / "mlflow.db")
    return home


@pytest.fixture
def quick_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the trainer of new workers by a stub."""
    monkeypatch.setattr(execution, "PRELOAD", "tests.helpers.stub_trainer:preload")
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:QuickTrainer")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
