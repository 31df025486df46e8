"""Having tqdm without being told of widgets."""

from __future__ import annotations

import warnings
from typing import Any


def import_tqdm() -> Any:
    """Return tqdm's bar, of widgets in a notebook that has them and of text elsewhere.

    Where a notebook has no widgets the import warns, once. Optuna and MLflow import it as well: whoever wants to hear
    none of it must ask first.
    """
    from tqdm import TqdmWarning  # here, because no command needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
