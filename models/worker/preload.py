"""Importing what workers need, once for all of them, and no more than that."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_ONLY_LOOKED_FOR = ("sklearn", "matplotlib", "pandas", "IPython", "jax")
"""What Keras and TensorFlow import if it is there, for wrappers, pictures, tables and a converter
that no trial has:
with all of them installed, 1.6 of the 3.5 s that the import of Keras on TensorFlow took."""


def preload() -> None:
    """Import whatever a worker needs, and run no operation: a process may fork workers after it.

    Forked after its first operation, TensorFlow hangs; forked before, every child trains.
    """
    backend = os.environ.get("KERAS_BACKEND")
    with left_out(name for name in _ONLY_LOOKED_FOR if name != backend):
        import keras  # here, since it decides what is imported with it
    if (backend := keras.backend.backend()) in ("tensorflow", "jax"):
        importlib.import_module(f"assay.models.backends.{backend}")
    importlib.import_module("assay.models.worker.trainer")
    # What is alive now stays so: collections in workers need not look at it, nor copy its pages.
    gc.collect()
    gc.freeze()


@contextmanager
def left_out(packages: Iterable[str]) -> Iterator[None]:
    """Have packages look as if they were not installed while others are imported; those imported
    before stay.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None means: there is no such module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
