"""What tests share: no test reads or writes what belongs to the user who runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

REAL_DATA = os.environ.get("ASSAY_DATA_DIR")


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Point everything that is not named in a test at an empty folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "jax"))  # one for all tests
    # What a test made look installed would stay so: looking for nvidia.cudnn imports nvidia.
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    for name in ("ASSAY_HOME", "ASSAY_DATA_DIR", "ASSAY_STORAGE", "MLFLOW_TRACKING_URI", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets; skips the test where there is none."""
    if REAL_DATA is None or not Path(REAL_DATA).is_dir():
        pytest.skip("needs the real MNIST and CIFAR-10: name their folder in ASSAY_DATA_DIR")
    return Path(REAL_DATA).resolve()
