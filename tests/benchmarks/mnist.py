"""Where the real MNIST lies: Assay's own place for it, which every side reads."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.workspace import StorePaths


class NoMnistError(Exception):
    """There is no MNIST to measure on."""


def mnist() -> Path:
    """Return the file with MNIST's arrays: in ASSAY_DATA_DIR, or if that is not set in the Keras cache.

    Raises:
        NoMnistError: it is not there. Fetching it would be measured too.
    """
    file = StorePaths.choose().data_dir / "mnist.npz"
    if not file.is_file():
        raise NoMnistError(
            f"the benchmark needs the real MNIST; there is no {file}: name its folder in ASSAY_DATA_DIR."
        )
    return file.absolute()
