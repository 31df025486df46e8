"""Writing the report of lecture experiments."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path

from assay.experiments.lectures.page import RESULTS, build_page
from assay.experiments.lectures.run import Outcome
from assay.experiments.report.page.render import render_document
from assay.experiments.report.store import PAGE, write_files


def write_outcomes(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write the report; return its page.

    Raises:
        RequestError: the folder can't be one.
        SearchError: it can't be written.
    """
    now = datetime.datetime.now(datetime.UTC)
    version = importlib.metadata.version("assay")
    document = build_page(outcomes, f"Measured {now:%Y-%m-%d %H:%M} UTC by Assay {version}.")
    records = [one.to_record() for one in outcomes]
    text = json.dumps(records, indent=1, ensure_ascii=True, allow_nan=False)
    write_files(folder, {**render_document(document), RESULTS: f"{text}\n".encode("ascii")})
    return folder / PAGE
