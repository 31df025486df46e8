"""Location of the real MNIST, which every side reads."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.workspace import StorePaths


class NoMnistError(Exception):
    """The file of MNIST is missing."""


def mnist() -> Path:
    """Return the path of the file with MNIST's arrays.

    The file is in ASSAY_DATA_DIR, or in the Keras cache if the variable is not set.

    Raises:
        NoMnistError: the file is missing. A download would become part of the measured time.
    """
    file = StorePaths.choose().data_dir / "mnist.npz"
    if not file.is_file():
        raise NoMnistError(
            f"the benchmark needs the real MNIST, but {file} does not exist: "
            "set ASSAY_DATA_DIR to its folder."
        )
    return file.absolute()
