"""Progress as plain lines, one a trial: for logs, pipes and `--json`."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from assay.experiments.formatting import clock, counted, named, shown
from assay.experiments.run.progress import SweepState, TrialProgress, headline
from assay.experiments.terminal_text import in_line, visible
from assay.search.events import Event


class PlainDisplay:
    """Writes a line when a trial ends, to standard error unless another stream is given."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._state: SweepState | None = None

    def log(self, text: str) -> None:
        """Write the text; nobody listening is no reason to stop."""
        with contextlib.suppress(OSError):
            print(visible(text), file=self._stream, flush=True)

    def on_open(self, state: SweepState) -> None:
        """Write the headline."""
        self._state = state
        self.log(headline(state))

    def on_event(self, event: Event) -> None:
        """Write a line if a trial ended."""
        if self._state is not None and (ended := self._state.apply(event)) is not None:
            self.log(line(self._state, ended))

    def on_close(self) -> None:
        """Write nothing more."""
        self._state = None


def line(state: SweepState, trial: TrialProgress) -> str:
    """Return what is to be said of a trial that ended."""
    assert trial.end is not None
    value = f" {named(state.objectives, trial.end.values)}" if trial.end.values else ""
    again = f" ({trial.again})" if trial.again else ""
    resumed = f" ({trial.resumed})" if trial.resumed else ""
    settings = " ".join(
        f"{in_line(name)}={shown(setting)}" for name, setting in trial.searched.items()
    )
    best = f" | {state.best()}" if state.best_trials.values else ""
    left = state.seconds_left()
    remaining = "" if left is None else f" | {clock(left)} left"
    return (
        f"[{state.done}/{state.wanted}] trial {trial.number}{again} {trial.end.label} "
        f"after {counted(len(trial.curve), 'epoch')}{resumed}{value} | {settings}{best}{remaining}"
    )
