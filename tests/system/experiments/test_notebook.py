"""The tour notebook runs and shows tables and figures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest

from tests.helpers.paths import ROOT
from tests.helpers.waiting import GUARD_SECONDS

TOUR = ROOT / "experiments" / "notebooks" / "tour.ipynb"


def test_every_cell_of_the_tour_runs_and_shows_tables_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient  # imported here, because only this test needs a kernel

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(
        notebook, timeout=GUARD_SECONDS, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("text/html") >= 4, (
        "the summary, the trials, the epochs, and those of the run"
    )
    assert kinds.count("image/svg+xml") == 3
    assert not [output for output in shown if output.get("name") == "stdout"]
    bars = "".join(output.text for output in shown if output.get("name") == "stderr")
    assert "8/8" in bars
    assert "Warning" not in bars
    assert all(
        line.startswith("digits-mlp: ") for line in bars.replace("\r", "\n").splitlines() if line
    )
