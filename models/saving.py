"""Keeping a model in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def save(model: keras.Model, path: Path) -> None:
    """Save a model as a .keras file, whole or not at all.

    Raises:
        OSError: the file can't be written.
    """
    # Keras goes by the ending, so the unfinished file must have it too.
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}.keras")
    try:
        model.save(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
