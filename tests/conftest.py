"""What tests share: no test reads or writes what belongs to the user who runs it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.workspace import StorePaths
from tests.helpers.command import SWEEP, Swept, assay
from tests.helpers.postgresql import PostgreSQL, missing

REAL_DATA = os.environ.get("ASSAY_DATA_DIR")


@pytest.fixture(autouse=True)
def own_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Point everything that is not named in a test at an empty folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv(
        "JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "jax")
    )  # one for all tests
    # What a test made look installed would stay so: looking for nvidia.cudnn imports nvidia.
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
    """The folder with the real data sets; skips the test where there is none."""
    if REAL_DATA is None or not Path(REAL_DATA).is_dir():
        pytest.skip("needs the real MNIST and CIFAR-10: name their folder in ASSAY_DATA_DIR")
    return Path(REAL_DATA).resolve()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like MNIST's with few images: beside 10,000 that validate, 600 are left to train on."""
    random = np.random.default_rng(0)
    labels = np.arange(10_600) % 10
    x = random.integers(0, 100, (len(labels), 28, 28)).astype(np.uint8)
    x[np.arange(len(labels)), labels] += 150  # a bright line where the label says
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
    """A PostgreSQL of the tests' own; skips the test where there is none."""
    if (why := missing()) is not None:
        pytest.skip(why)
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Sweep once for all tests that only look at the result."""
    home = tmp_path_factory.mktemp("swept") / "home"
    done = assay(*SWEEP, "--home", str(home))
    assert done.code == 0, done.err
    return Swept(home, done.answer, done.err)


@pytest.fixture
def store_paths(swept: Swept, tmp_path: Path) -> StorePaths:
    """A home of its own with the study, to be changed at will."""
    shutil.copytree(swept.home, tmp_path / "home")
    store_paths = StorePaths.choose(home=tmp_path / "home")
    cursor = store_paths.workspace.journal("digits-mlp").with_suffix(".tracked")
    cursor.write_text(cursor.read_text().replace(str(swept.home), str(store_paths.workspace.path)))
    return store_paths
