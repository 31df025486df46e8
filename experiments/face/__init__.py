"""Assay: Keras experiments that can be trusted.

The public interface for notebooks and scripts:

>>> from assay import sweep
>>> study = sweep("digits-mlp", trials=20)
>>> study.best
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.experiments.api import (
        compare,
        export,
        finalize,
        load_study,
        report,
        reproduce,
        run,
        sweep,
    )
    from assay.experiments.export.export import ExportResult
    from assay.experiments.report.write import ReportResult
    from assay.experiments.results.study import StudyResult
    from assay.experiments.run.repeat import ReproduceResult
    from assay.experiments.run.result import RunResult
    from assay.models.errors import RequestError, SearchError

__all__ = [
    "ExportResult",
    "ReportResult",
    "ReproduceResult",
    "RequestError",
    "RunResult",
    "SearchError",
    "StudyResult",
    "compare",
    "export",
    "finalize",
    "load_study",
    "report",
    "reproduce",
    "run",
    "sweep",
]

_MODULES = {
    "ExportResult": "assay.experiments.export.export",
    "ReportResult": "assay.experiments.report.write",
    "ReproduceResult": "assay.experiments.run.repeat",
    "RequestError": "assay.models.errors",
    "RunResult": "assay.experiments.run.result",
    "SearchError": "assay.models.errors",
    "StudyResult": "assay.experiments.results.study",
    "compare": "assay.experiments.api",
    "export": "assay.experiments.api",
    "finalize": "assay.experiments.api",
    "load_study": "assay.experiments.api",
    "report": "assay.experiments.api",
    "reproduce": "assay.experiments.api",
    "run": "assay.experiments.api",
    "sweep": "assay.experiments.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    `assay --help` has no time to import all of them.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # In a notebook without widgets, the first import of tqdm warns. Optuna imports it too.
    from assay.experiments.console import import_tqdm

    import_tqdm()
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, imported yet or not."""
    return sorted(__all__)
