"""Takes the README's pictures anew, of a sweep and of its comparison: `make pictures`. Needs Chromium."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from assay.experiments.config.catalog import load
from assay.experiments.config.request import SweepRequest
from assay.experiments.console.live import draw
from assay.experiments.console.summary import print_summary
from assay.experiments.run.progress import SweepState
from assay.experiments.run.sweep import sweep
from assay.experiments.workspace import StorePaths
from assay.search.events import Event
from tests.helpers.browser import browsing, plot, serving

PICTURES = Path(__file__).parent.parent / "experiments" / "pictures"
EXPERIMENT = "digits-mlp"
COLUMNS = 120
WIDTH = 1400


class Photographer:
    """A display that draws the sweep once, when a good part of it is done."""

    def __init__(self, console: Console, at: int) -> None:
        self._console = console
        self._at = at
        self._state: SweepState | None = None

    def log(self, text: str) -> None:
        pass

    def on_open(self, state: SweepState) -> None:
        self._state = state

    def on_event(self, event: Event) -> None:
        if self._state is None:
            return
        self._state.apply(event)
        running = self._state.running.values()
        if (
            self._state.done >= self._at
            and len(running) == 2
            and all(len(trial.curve) > 1 for trial in running)
        ):
            self._console.print(draw(self._state, COLUMNS), Text("\n..."))
            self._state = None

    def on_close(self) -> None:
        pass


@contextlib.contextmanager
def as_on_a_terminal() -> Iterator[io.StringIO]:
    """Enter with what is printed kept, colours and all."""
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


def photograph_sweep(home: Path) -> str:
    """Sweep, and return what a terminal shows as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ make sweep[/bold]\n")
    display = Photographer(console, at=14)
    result = sweep(load(EXPERIMENT), SweepRequest(workers=2), StorePaths.choose(home=home), display)
    with as_on_a_terminal() as printed:
        print_summary(result, again="make sweep", look=f".venv/bin/assay ui {EXPERIMENT}")
    console.print(Text.from_ansi(printed.getvalue()))
    return console.export_svg(title="assay")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        home, failed = Path(folder) / "mlruns", Path(folder) / "failed.png"
        drawing = Path(folder) / "sweep.svg"
        drawing.write_text(photograph_sweep(home))
        with browsing(failed, WIDTH) as page:
            page.set_content(f"<body style='margin: 0'>{drawing.read_text()}</body>")
            page.locator("svg").screenshot(path=PICTURES / "sweep.png")
        with serving(home, EXPERIMENT) as address, browsing(failed, WIDTH, 600) as page:
            page.goto(address)
            plot(page, load(EXPERIMENT).space, "value")
            page.get_by_role("button", name="Close").click()
            page.screenshot(path=PICTURES / "comparison.png")


if __name__ == "__main__":
    main()
