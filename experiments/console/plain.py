"""Progress as plain lines, for logs, pipes and `--json`."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from assay.experiments.formatting import (
    format_count,
    format_duration,
    format_param,
    format_values,
)
from assay.experiments.run.progress import SweepState, TrialProgress, headline
from assay.experiments.terminal_text import escape_line, escape_text
from assay.search.events import Event


class PlainDisplay:
    """Writes a line when a trial ends.

    Args:
        stream: where to write; None: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._state: SweepState | None = None

    def log(self, text: str) -> None:
        """Write the text."""
        # A closed pipe or a full log disk is no reason to end a search.
        with contextlib.suppress(OSError):
            print(escape_text(text), file=self._stream, flush=True)

    def on_open(self, state: SweepState) -> None:
        """Write the headline."""
        self._state = state
        self.log(headline(state))

    def on_event(self, event: Event) -> None:
        """Write a line if a trial ended."""
        if self._state is not None and (ended := self._state.apply(event)) is not None:
            self.log(format_trial_line(self._state, ended))

    def on_close(self) -> None:
        """Write nothing more."""
        self._state = None


def format_trial_line(state: SweepState, trial: TrialProgress) -> str:
    """Return the line about a trial that ended."""
    assert trial.end is not None
    value = f" {format_values(state.objectives, trial.end.values)}" if trial.end.values else ""
    if trial.end.values and trial.restored_epoch is not None:
        value += f" (epoch {trial.restored_epoch})"
    again = f" ({trial.again})" if trial.again else ""
    resumed = f" ({trial.resumed})" if trial.resumed else ""
    params = " ".join(
        f"{escape_line(name)}={format_param(value)}" for name, value in trial.searched.items()
    )
    best = f" | {best}" if (best := state.best()) else ""
    seconds_left = state.seconds_left()
    remaining = "" if seconds_left is None else f" | {format_duration(seconds_left)} left"
    return (
        f"[{state.done}/{state.wanted}] {state.noun} {trial.number}{again} {trial.end.label} "
        f"after {format_count(len(trial.curve), 'epoch')}{resumed}{value}"
        f" | {params}{best}{remaining}"
    )
