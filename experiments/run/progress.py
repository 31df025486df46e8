"""What is known of a sweep under way, put together from its events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from assay.experiments.config.experiment import Experiment
from assay.experiments.formatting import counted, named
from assay.experiments.run.execution import Execution
from assay.experiments.terminal_text import in_line
from assay.search.events import EpochEnded, Event, TrialBegun, TrialEnded
from assay.search.objective import Objectives, ParetoFront
from assay.search.workers.protocol import REDO, RETRY

if TYPE_CHECKING:
    import pandas as pd


_RECENT = 5


@dataclass
class TrialProgress:
    """A trial, as far as it is known; `curve` holds the metric by epoch that shows how it is
    doing.
    """

    number: int
    searched: Mapping[str, Any]
    origin: str
    curve: list[float] = field(default_factory=list)
    end: TrialEnded | None = None

    @property
    def again(self) -> str:
        """Which earlier trial it tries again, and why; of any other nothing."""
        return self.origin if self.origin.startswith((REDO, RETRY)) else ""

    @property
    def resumed(self) -> str:
        """After which epoch it went on, if it did, for all that its end says."""
        epoch = None if self.end is None else self.end.metrics.get("resumed_epoch")
        return "" if epoch is None else f"went on after epoch {epoch:g}"


@dataclass
class SweepState:
    """A sweep: what it is to do, what is done, what is running."""

    study: str
    experiment: Experiment
    execution: Execution
    done: int
    best_trials: ParetoFront
    wanted: int
    failed: int = 0
    running: dict[int, TrialProgress] = field(default_factory=dict)
    recent: list[TrialProgress] = field(default_factory=list)
    _done_at_start: int = 0
    _first_begun: float | None = None

    def __post_init__(self) -> None:
        self._done_at_start = self.done

    @property
    def objectives(self) -> Objectives:
        """What is made better."""
        return self.experiment.search.goals

    @property
    def curve_metric(self) -> str:
        """The metric that shows how a trial is doing: the first objective that is measured in every
        epoch.
        """
        return next(iter(self.objectives.epoch_metrics), "val_loss")

    def apply(self, event: Event) -> TrialProgress | None:
        """Take an event in; return the trial it ended, if it ended one."""
        match event:
            case TrialBegun():
                self._first_begun = self._first_begun or time.monotonic()
                self.running[event.trial] = TrialProgress(event.trial, event.searched, event.origin)
            case EpochEnded():
                if self.curve_metric in event.metrics:
                    self.running[event.trial].curve.append(event.metrics[self.curve_metric])
            case TrialEnded():
                return self._ended(event)
            case _:
                pass
        return None

    def seconds_left(self) -> float | None:
        """Return how long the rest will take at the pace so far; None before there is one."""
        here = self.done - self._done_at_start
        if self._first_begun is None or here == 0:
            return None
        return (time.monotonic() - self._first_begun) / here * max(0, self.wanted - self.done)

    def _ended(self, event: TrialEnded) -> TrialProgress | None:
        trial = self.running.pop(event.trial, None)
        if trial is None:  # settled by recovery: of an earlier sweep
            return None
        trial.end = event
        self.recent = [*self.recent, trial][-_RECENT:]
        if event.state == "failed":
            self.failed += 1
        else:
            self.done += 1
        if event.state == "complete":
            self.best_trials.add(event.trial, event.values)
        return trial

    def best(self) -> str:
        """Return in a few words which trial is the best so far, or with several objectives how many
        make the front.
        """
        found = self.best_trials.values
        if len(self.objectives) > 1:
            return f"{counted(len(found), 'trial')} on the Pareto front"
        return next(
            (f"best {named(self.objectives, found[number])} (trial {number})" for number in found),
            "",
        )


def headline(state: SweepState) -> str:
    """Return one line that says what is about to happen."""
    known = f"{state.done} of {state.wanted} done, " if state.done else ""
    trials, workers = (
        counted(state.wanted - state.done, "trial"),
        counted(state.execution.workers, "worker"),
    )
    where = f"{state.execution.backend}, {state.execution.device}"
    return f"{state.study}: {in_line(state.experiment.title)}; {known}{trials} to go on {workers} ({where})"


# What a sweep tells while it runs, and to whom.


class Display(Protocol):
    """Told of a sweep's progress."""

    def log(self, text: str) -> None:
        """Say something that the user should know."""

    def on_open(self, state: SweepState) -> None:
        """Say that the study is open and that workers are on their way."""

    def on_event(self, event: Event) -> None:
        """Hear of what happened."""

    def on_close(self) -> None:
        """Say no more of trials: the sweep is being put away."""


# A display that keeps the epochs it hears of.


class Recording:
    """Passes everything on to another display."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._heard: list[EpochEnded] = []

    def log(self, text: str) -> None:
        """Pass the text on."""
        self._display.log(text)

    def on_open(self, state: SweepState) -> None:
        """Pass the state on."""
        self._display.on_open(state)

    def on_event(self, event: Event) -> None:
        """Pass the event on, and keep it if it is the end of an epoch."""
        if isinstance(event, EpochEnded):
            self._heard.append(event)
        self._display.on_event(event)

    def on_close(self) -> None:
        """Pass it on."""
        self._display.on_close()

    def epochs(self) -> pd.DataFrame:
        """Return one row an epoch, as they came: columns epoch, the metrics of every epoch, seconds
        (of wall time).
        """
        import pandas as pd  # here, because no command needs it before it answers

        rows = [
            {"epoch": event.epoch, **event.metrics, "seconds": event.seconds}
            for event in self._heard
        ]
        return pd.DataFrame(rows, columns=None if rows else ["epoch", "seconds"])
