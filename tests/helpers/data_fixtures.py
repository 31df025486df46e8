"""Fixtures for tests of data sets: small sets and stub libraries."""

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
    """Return a function that stubs a library's module in child processes."""
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
    """Stub scikit-learn's split in children; return the file that logs each split."""
    calls = tmp_path / "splits.txt"
    stub(
        "sklearn.model_selection",
        "def train_test_split(indices, test_size, stratify, random_state):\n"
        f"    print('split', file=open({str(calls)!r}, 'a'))\n"
        "    return indices[test_size:], indices[:test_size]\n",
    )
    return calls
