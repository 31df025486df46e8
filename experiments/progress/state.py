"""What is known of a sweep under way, put together from its events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.execution import Execution
from experiments.experiment import Experiment
from experiments.words import in_line
from search.events import EpochEnded, Event, TrialBegun, TrialEnded
from search.objective import Leaders, Objectives, Values
from search.protocols import REDO, RETRY

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_CHARACTERS = 20
_RECENT = 5


@dataclass
class TrialProgress:
    """A trial, as far as it is known; `curve` holds the metric by epoch that shows how it is doing."""

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
    leaders: Leaders
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
        """The metric that shows how a trial is doing: the first objective that is measured in every epoch."""
        return next(iter(self.objectives.epoch_metrics), "val_loss")

    def hear(self, event: Event) -> TrialProgress | None:
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
            self.leaders.add(event.trial, event.values)
        return trial

    def best(self) -> str:
        """Return in a few words which trial is the best so far, or with several objectives how many make the front."""
        found = self.leaders.values
        if len(self.objectives) > 1:
            return f"{counted(len(found), 'trial')} on the Pareto front"
        return next((f"best {named(self.objectives, found[number])} (trial {number})" for number in found), "")


def headline(state: SweepState) -> str:
    """Return one line that says what is about to happen."""
    known = f"{state.done} of {state.wanted} done, " if state.done else ""
    trials, workers = counted(state.wanted - state.done, "trial"), counted(state.execution.workers, "worker")
    where = f"{state.execution.backend}, {state.execution.device}"
    return f"{state.study}: {in_line(state.experiment.title)}; {known}{trials} to go on {workers} ({where})"


def counted(number: int, what: str) -> str:
    """Return a number with what it counts."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def sparkline(values: list[float]) -> str:
    """Return a curve as a row of bars, from its lowest value to its highest; a long one is thinned out."""
    if not values:
        return ""
    step = -(-len(values) // _CURVE_CHARACTERS)
    kept = values[(len(values) - 1) % step :: step]  # the last value is always among them
    low, high = min(kept), max(kept)
    height = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / height * (len(_BARS) - 1))] for value in kept)


def named(objectives: Objectives, values: Values) -> str:
    """Return values with the names of their metrics."""
    pairs = zip(objectives.each, values, strict=True)
    return ", ".join(f"{objective.metric} {measured(value)}" for objective, value in pairs)


def measured(value: float) -> str:
    """Return what was measured: a whole number as it is, another with four digits behind the point, or in all."""
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def shown(value: Any) -> str:
    """Return a hyperparameter's value as people write it."""
    return f"{value:.3g}" if isinstance(value, float) else in_line(str(value))


def clock(seconds: float) -> str:
    """Return a time as 1:02:03, 4:05 or 12 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
