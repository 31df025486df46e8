"""Choice of a display on the command line."""

from __future__ import annotations

from assay.experiments.run.progress import Display


def choose_display(as_json: bool) -> Display:
    """Return a live table for a terminal, else plain lines.

    Args:
        as_json: whether the command prints JSON: then a script reads along, and gets plain lines.
    """
    # Here, because a silent Python caller need not import Rich.
    from assay.experiments.console.live import LiveDisplay
    from assay.experiments.console.plain import PlainDisplay
    from assay.experiments.console.tables import SafeConsole

    console = SafeConsole(to_stderr=True)
    return LiveDisplay(console) if console.is_terminal and not as_json else PlainDisplay()
