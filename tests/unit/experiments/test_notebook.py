"""The tour notebook is stored without outputs."""

from __future__ import annotations

import nbformat

from tests.helpers.paths import ROOT

TOUR = ROOT / "experiments" / "notebooks" / "tour.ipynb"


def test_the_tour_has_no_outputs() -> None:
    cells = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
