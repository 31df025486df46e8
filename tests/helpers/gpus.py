"""GPUs that only seem to be there."""

from __future__ import annotations

from pathlib import Path


def pretend_cuda_libraries(folder: Path) -> Path:
    """Return a folder for the path in which what backends need for a card seems to be installed."""
    for package in ("nvidia/cudnn", "jax_cuda12_plugin"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    return folder
