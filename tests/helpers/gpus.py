"""Simulated GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest


def pretend_cuda_libraries(folder: Path) -> Path:
    """Return a folder for sys.path with empty packages of the CUDA libraries."""
    for package in ("nvidia/cudnn", "jax_cuda12_plugin"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    return folder


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine with two GPUs and their libraries."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("PATH", str(tmp_path))  # without nvidia-smi
    monkeypatch.syspath_prepend(pretend_cuda_libraries(tmp_path / "libraries"))
