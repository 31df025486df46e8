"""Take the README's pictures: a sweep on a terminal, and the page of `assay ui`.

`make pictures` runs this module; it needs Chromium. The script does not click on the page, so the
pictures show its initial state.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.console.live import render_sweep
from assay.experiments.console.summary import print_summary
from assay.experiments.run.progress import SweepState, headline
from assay.experiments.run.sweep import sweep
from assay.experiments.workspace import StorePaths
from assay.search.events import Event
from tests.helpers.browser import browsing, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parent.parent / "experiments" / "pictures"
EXPERIMENT = "digits-mlp"
COLUMNS = 120
WIDTH_PIXELS, HEIGHT_PIXELS = 1400, 900
SETTLING_MILLISECONDS = 3000


class Photographer:
    """A display that prints the table of a sweep once, in the middle of the sweep.

    Args:
        console: console to print to.
        at: number of finished trials at which to print.
    """

    def __init__(self, console: Console, at: int) -> None:
        self._console = console
        self._at = at
        self._state: SweepState | None = None

    def log(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def on_open(self, state: SweepState) -> None:
        self._state = state
        self._console.print(headline(state), markup=False, highlight=False)

    def on_event(self, event: Event) -> None:
        if self._state is None:
            return
        self._state.apply(event)
        running = self._state.running.values()
        has_curves = len(running) == 2 and all(len(trial.curve) > 1 for trial in running)
        if self._state.done >= self._at and has_curves:
            self._console.print(render_sweep(self._state, COLUMNS), Text("\n..."))
            self._state = None

    def on_close(self) -> None:
        pass


@contextlib.contextmanager
def terminal_output() -> Iterator[io.StringIO]:
    """Capture standard output with terminal colors."""
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


def draw_sweep(home: Path) -> str:
    """Run a sweep; return its terminal output as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ make sweep[/bold]\n")
    display = Photographer(console, at=14)
    result = sweep(
        resolve_experiment(EXPERIMENT),
        SweepRequest(workers=2),
        StorePaths.choose(home=home),
        display,
    )
    next_commands = {
        "look": f".venv/bin/assay ui {EXPERIMENT}",
        "decide": f".venv/bin/assay finalize {EXPERIMENT}",
    }
    with terminal_output() as printed:
        print_summary(result, resume_command="make sweep", next_commands=next_commands)
    console.print(Text.from_ansi(printed.getvalue()))
    return console.export_svg(title="assay")


def photograph_page(page: Page) -> bytes:
    """Return a screenshot of a page once it no longer changes."""
    before, now = b"", page.screenshot()
    while now != before:
        page.wait_for_timeout(SETTLING_MILLISECONDS)
        before, now = now, page.screenshot()
    return now


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        home, failed = Path(folder) / "mlruns", Path(folder) / "failed.png"
        terminal = draw_sweep(home)
        with browsing(failed, WIDTH_PIXELS) as page:
            page.set_content(f"<body style='margin: 0'>{terminal}</body>")
            page.locator("svg").screenshot(path=PICTURES / "sweep.png")
        with (
            serving(home, EXPERIMENT) as address,
            browsing(failed, WIDTH_PIXELS, HEIGHT_PIXELS) as page,
        ):
            page.goto(address)
            page.locator("canvas.foreground").first.wait_for()
            (PICTURES / "comparison.png").write_bytes(photograph_page(page))


if __name__ == "__main__":
    main()
