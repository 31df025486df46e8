"""Parts that several outputs share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from assay.experiments.formatting import format_param
from assay.experiments.terminal_text import escape_line, escape_text, unescaped

_LOG_COLUMNS = 200


class SafeConsole(Console):
    """A console that escapes control characters in texts, and raises `BrokenPipeError`.

    Colors and cursor movements of Rich stay. Without markup and highlighting.

    Args:
        to_stderr: write to standard error.
        options: further ones of `rich.console.Console`.
    """

    def __init__(self, to_stderr: bool = False, **options: Any) -> None:
        stream = unescaped(sys.stderr if to_stderr else sys.stdout)
        super().__init__(file=stream, highlight=False, markup=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render an object as Rich does, with texts escaped."""
        # Rich draws everything by this method, the parts of a table too.
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_text(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Raise the error: Rich would exit with 1, the command has another exit code for it."""
        raise BrokenPipeError


def create_console(to_stderr: bool = False) -> Console:
    """Return a console for plain text."""
    console = SafeConsole(to_stderr, soft_wrap=True)
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


def plain_table(*names: str) -> Table:
    """Return a table without lines."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(escape_line(name))
    return table
