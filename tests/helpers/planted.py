"""Malicious pickles."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np


class Harm:
    """Creates a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._file,)


def pickled(harm: Path) -> bytes:
    """Return a pickle that creates a file when loaded."""
    return pickle.dumps(Harm(harm))


def plant(file: Path, harm: Path, size: int) -> None:
    """Write a .npy file of a given size that creates a file when unpickled."""
    array = np.empty((1,), dtype=object)
    array[0] = Harm(harm)
    np.save(file, array, allow_pickle=True)
    with file.open("ab") as stream:
        stream.write(bytes(max(0, size - file.stat().st_size)))
