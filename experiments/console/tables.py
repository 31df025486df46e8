"""What is printed alike of sweeps, studies, trials and runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from assay.experiments.formatting import shown
from assay.experiments.terminal_text import in_line
from assay.search.importances import get_evaluator

_BAR_CHARACTERS = 24
_LOG_COLUMNS = 200
_FEW_TRIALS = 20


class _Console(Console):
    """Leaves it to the command what it means that whoever read the answer has gone; Rich would exit
    with 1.
    """

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(to_stderr: bool = False) -> Console:
    """Return where to print: text is text, never markup."""
    out = _Console(stderr=to_stderr, soft_wrap=True, highlight=False, markup=False)
    if not out.is_terminal:  # a log has room for tables
        out.width = _LOG_COLUMNS
    return out


def grid(values: Mapping[str, Any]) -> Table:
    """Return hyperparameters, a line each."""
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        table.add_row(f"  {in_line(name)}", shown(value))
    return table


def bars(shares: Mapping[str, float]) -> Table:
    """Return importances, a bar each."""
    table = Table.grid(padding=(0, 2))
    for name, share in shares.items():
        table.add_row(
            f"  {in_line(name)}", "█" * max(1, round(share * _BAR_CHARACTERS)), f"{share:.0%}"
        )
    return table


def what_mattered(evaluator: str, metric: str | None, complete: int) -> str:
    """Return the line above importances: what of, how told, and from how few trials if they are
    few.
    """
    of = "" if metric is None else f" for {metric}"
    few = f"; a hint at most, from {complete} complete trials" if complete < _FEW_TRIALS else ""
    return f"\nwhat mattered{of} ({get_evaluator(evaluator).summary}{few}):"


def plain_table(*names: str) -> Table:
    """Return a table without lines."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(in_line(name))
    return table
