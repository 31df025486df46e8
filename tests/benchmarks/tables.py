"""Results table, for a terminal and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tests.benchmarks.row import Row

COLUMNS = ("measure", "figure", "goal", "stretch", "reached")


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Return the cells of a row, one per column."""
    goal, stretch = (
        "" if wanted is None else _measured(f"{wanted:g}", row.unit)
        for wanted in (row.goal, row.stretch)
    )
    figure = _measured(f"{row.value:.3g}", row.unit) + (f" ({row.note})" if row.note else "")
    return row.measure, figure, goal, stretch, row.verdict


def terminal(rows: Sequence[Row]) -> Table:
    """Return the rows as a Rich table."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*cells(row))
    return table


def markdown(rows: Sequence[Row], about: str) -> str:
    """Return the rows as a Markdown table, below a line about the machine."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(cells(row) for row in rows)]
    table = "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
    return f"{about}\n\n{table}\n"


def _measured(number: str, unit: str) -> str:
    return number + unit if unit in ("x", "%") else f"{number} {unit}".rstrip()
