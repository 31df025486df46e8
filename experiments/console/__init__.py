"""Terminal output: progress, summaries and tables."""

from __future__ import annotations

import warnings
from typing import Any


def import_tqdm() -> Any:
    """Return tqdm's bar: a widget, or text.

    In a notebook without widgets the first import of `tqdm.auto` warns. Optuna and MLflow import it
    too, so this must be called before they are imported. It is defined here, because the modules of
    this package import Optuna.
    """
    from tqdm import TqdmWarning  # here, because no command needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
