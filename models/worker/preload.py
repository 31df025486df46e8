"""Imports of workers, made before they are forked."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from assay.models import keras_compat

_OPTIONAL_PACKAGES = ("sklearn", "matplotlib", "pandas", "IPython", "jax")
"""Packages that Keras and TensorFlow import if they are installed, for wrappers, plots, tables and
a converter, none of which a trial uses. With all of them installed they take 1.6 of the 3.5 s of
importing Keras with TensorFlow.
"""


def preload() -> None:
    """Import all that a worker needs, and run no operation.

    Workers may be forked after it. A process that is forked after TensorFlow's first operation
    hangs.
    """
    backend = os.environ.get("KERAS_BACKEND")
    hidden = [name for name in _OPTIONAL_PACKAGES if name != backend]
    with hide_packages(hidden if keras_compat.is_supported() else []):
        import keras  # not at the top: the context decides what Keras imports
    if (backend := keras.backend.backend()) in ("tensorflow", "jax"):
        importlib.import_module(f"assay.models.backends.{backend}")
    importlib.import_module("assay.models.worker.trainer")
    # Objects that exist now are kept for good, so workers' collections need not visit them, which
    # would also copy their pages.
    gc.collect()
    gc.freeze()


@contextmanager
def hide_packages(packages: Iterable[str]) -> Iterator[None]:
    """Make packages appear not to be installed, in this context.

    Packages that were imported before stay.
    """
    hidden = [name for name in packages if name not in sys.modules]
    # None makes an import of the module fail.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
