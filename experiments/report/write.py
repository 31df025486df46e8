"""Writing a report: collecting its records, drawing its pages, and logging it to MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.experiments.report.page.render import render
from assay.experiments.report.store import (
    MARKDOWN,
    PAGE,
    read_report,
    write_report,
)
from assay.experiments.terminal_text import escape_line
from assay.experiments.workspace import StorePaths
from assay.models.files import make_folder
from assay.search.system.files import absolute_path
from assay.search.system.urls import first_line


@dataclass(frozen=True)
class ReportResult:
    """A report that was written.

    Attributes:
        folder: its folder.
        studies: names of its studies.
        address: of its page in MLflow; None if it was not logged.
        warning: why it was not logged although it should be; None without a reason.
    """

    folder: Path
    studies: tuple[str, ...]
    address: str | None = None
    warning: str | None = None

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / PAGE

    @property
    def markdown(self) -> Path:
        """Its twin in Markdown."""
        return self.folder / MARKDOWN

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "folder": str(self.folder),
            "page": str(self.page),
            "markdown": str(self.markdown),
            "studies": list(self.studies),
            "address": self.address,
        }


def make_report(
    studies: Sequence[str], store_paths: StorePaths, out: Path | str | None = None
) -> ReportResult:
    """Write the report of one study or several.

    That of one study is logged to its run in MLflow too.

    Args:
        studies: names of the studies, in the order of the page.
        store_paths: where the stores are.
        out: the folder; None: below `reports` in home.

    Raises:
        RequestError: there is no such study, a store can't be read, or the folder can't be one.
        SearchError: the folder can't be written.
    """
    # Here, because a report that is rebuilt needs neither Optuna nor MLflow.
    from assay.experiments.report.collection.collect import collect
    from assay.experiments.report.collection.sources import read_sources
    from assay.experiments.results.listing import storages_kept_open
    from assay.experiments.tracking.report import log_report

    with storages_kept_open():
        sources = [read_sources(name, store_paths) for name in dict.fromkeys(studies)]
        records, environment = collect(sources, store_paths)
    names = [one.name for one in sources]
    pages = render(records, environment)
    if out is None:
        folder = store_paths.workspace.report(names)
        make_folder(folder.parent)
    else:
        folder = absolute_path(out, "--out")
    files = write_report(folder, records, environment, pages)
    address = None
    warning = next((one.why_no_runs for one in sources if one.why_no_runs is not None), None)
    if len(sources) == 1:
        run_id = sources[0].result.parent_run_id
        if run_id is not None:
            address, warning = log_report(store_paths, run_id, folder, files)
    return ReportResult(folder, tuple(names), address, warning)


def rebuild_report(source: Path | str, out: Path | str | None = None) -> ReportResult:
    """Draw the pages of a report again, from its records alone.

    Args:
        source: its folder.
        out: the folder to write to; None: the same.

    Raises:
        RequestError: there is no report in the folder, or a file differs from its manifest.
        SearchError: the folder can't be written.
    """
    folder = absolute_path(source, "--from")
    records, environment = read_report(folder)
    target = folder if out is None else absolute_path(out, "--out")
    write_report(target, records, environment, render(records, environment))
    return ReportResult(target, records.report.studies)


def report_finalized(study: str, store_paths: StorePaths) -> tuple[ReportResult | None, str | None]:
    """Write the report of a study that was finalized, whatever goes wrong.

    Returns:
        The report, and a warning; either may be None.
    """
    try:
        result = make_report([study], store_paths)
    except Exception as error:
        # The verdicts are recorded, and must be shown. `assay report` fails in the same way, and
        # shows where.
        reason = escape_line(first_line(error))
        again = escape_line(shlex.join(["assay", "report", study]))
        return None, f"the report was not written ({reason}); '{again}' tries again"
    return result, result.warning
