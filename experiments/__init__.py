"""The suite: experiments as files, data sets, MLflow tracking, provenance, and the command line.

The only package that knows MLflow. For notebooks and scripts: `from experiments import sweep, run, load_study`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.functions import RunOutcome, run, sweep
    from experiments.read_study import load_study
    from experiments.study_result import StudyResult
    from models.errors import RequestError
    from search.errors import SearchError

__all__ = ["RequestError", "RunOutcome", "SearchError", "StudyResult", "load_study", "run", "sweep"]

_PLACES = {
    "RequestError": "models.errors",
    "RunOutcome": "experiments.functions",
    "SearchError": "search.errors",
    "StudyResult": "experiments.study_result",
    "load_study": "experiments.read_study",
    "run": "experiments.functions",
    "sweep": "experiments.functions",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line's --help has no time for it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from experiments.quiet import import_tqdm

    import_tqdm()  # before Optuna and MLflow do
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """Return what there is, asked for or not."""
    return sorted({*globals(), *__all__})
