"""What a sweep shows while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from assay.experiments.run.progress import Display


def choose_display(as_json: bool) -> Display:
    """Return the display that suits where standard error goes; with `as_json` somebody reads
    lines.
    """
    from rich.console import (
        Console,
    )  # here, because a Python caller who wants silence need not load it

    from assay.experiments.console.live import LiveDisplay
    from assay.experiments.console.plain import PlainDisplay

    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal and not as_json else PlainDisplay()
