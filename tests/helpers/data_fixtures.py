"""What the tests of data sets share: sets small enough to make, and libraries that do as they are told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.small_sets import Arrays, make_arrays


@pytest.fixture
def arrays() -> Arrays:
    return make_arrays()


@pytest.fixture
def own_set(tmp_path: Path, arrays: Arrays) -> Path:
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a module of one's own in the place of a library's, in the processes that are started from here."""
    root = tmp_path / "stubs"
    root.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(root), prepend=os.pathsep)

    def write(module: str, code: str) -> None:
        *packages, name = module.split(".")
        folder = root
        for package in packages:
            folder = folder / package
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        (folder / f"{name}.py").write_text(code)

    return write


@pytest.fixture
def quick_split(stub: Callable[[str, str], None], tmp_path: Path) -> Path:
    """Spare the children scikit-learn's import; returns a file that gets a line for each split."""
    calls = tmp_path / "splits.txt"
    stub(
        "sklearn.model_selection",
        "def train_test_split(indices, test_size, stratify, random_state):\n"
        f"    print('split', file=open({str(calls)!r}, 'a'))\n"
        "    return indices[test_size:], indices[:test_size]\n",
    )
    return calls
