"""Parts that several outputs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from assay.experiments.formatting import format_param
from assay.experiments.terminal_text import escape_line
from assay.search.importances import get_evaluator

_BAR_CHARACTERS = 24
_LOG_COLUMNS = 200
_FEW_TRIALS = 20


class _Console(Console):
    """A console that raises `BrokenPipeError`.

    Rich would exit with 1; the command has another exit code when its reader has gone.
    """

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def create_console(to_stderr: bool = False) -> Console:
    """Return a console for plain text: no markup, no highlighting."""
    console = _Console(stderr=to_stderr, soft_wrap=True, highlight=False, markup=False)
    # Rich takes 80 columns where there is no terminal, and would cut tables in logs and pipes.
    if not console.is_terminal:
        console.width = _LOG_COLUMNS
    return console


def param_grid(params: Mapping[str, Any]) -> Table:
    """Return hyperparameters as a grid, one per line."""
    table = Table.grid(padding=(0, 2))
    for name, value in params.items():
        table.add_row(f"  {escape_line(name)}", format_param(value))
    return table


def importance_bars(shares: Mapping[str, float]) -> Table:
    """Return importances as bars, one per line."""
    table = Table.grid(padding=(0, 2))
    for name, share in shares.items():
        table.add_row(
            f"  {escape_line(name)}", "█" * max(1, round(share * _BAR_CHARACTERS)), f"{share:.0%}"
        )
    return table


def importance_heading(evaluator: str, metric: str | None, complete: int) -> str:
    """Return the line above importances.

    Args:
        evaluator: name of the importance evaluator.
        metric: the objective's; None if the study has only one.
        complete: number of complete trials; with fewer than 20 the line warns.
    """
    objective = "" if metric is None else f" for {metric}"
    warning = f"; only a hint, from {complete} complete trials" if complete < _FEW_TRIALS else ""
    return f"\nimportances{objective} ({get_evaluator(evaluator).summary}{warning}):"


def plain_table(*names: str) -> Table:
    """Return a table without lines."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(escape_line(name))
    return table
