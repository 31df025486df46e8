"""Progress of a sweep: what displays show, put together from the journal's events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from assay.experiments.config.experiment import Experiment
from assay.experiments.formatting import format_count, format_values
from assay.experiments.run.execution import Execution
from assay.experiments.terminal_text import escape_line
from assay.search.events import INTERRUPTED_LABEL, EpochEnded, Event, TrialBegun, TrialEnded
from assay.search.objective import Objectives, ParetoFront
from assay.search.workers.protocol import REDO, RETRY

_RECENT_TRIALS = 5


class Display(Protocol):
    """Shows the progress of a sweep or of a single training."""

    def log(self, text: str) -> None:
        """Show a line that the user should read."""

    def on_open(self, state: SweepState) -> None:
        """Begin: the study is open, and workers are starting."""

    def on_event(self, event: Event) -> None:
        """Show an event of the journal."""

    def on_close(self) -> None:
        """End: no more trials will be shown."""


@dataclass
class TrialProgress:
    """A running or ended trial.

    Attributes:
        number: Optuna's number.
        searched: its configuration.
        origin: where the configuration comes from: a sampler, "baseline" and the like.
        finalist: in a finalize, the trial whose configuration it trains again.
        curve: the metric of each epoch that `SweepState.curve_metric` names.
        end: how it ended; None while it runs.
    """

    number: int
    searched: Mapping[str, Any]
    origin: str
    finalist: int | None = None
    curve: list[float] = field(default_factory=list)
    end: TrialEnded | None = None

    @property
    def again(self) -> str:
        """Which trial it repeats and why, such as "retry of 3"; empty if it repeats none."""
        if self.finalist is not None:
            return f"trial {self.finalist}"
        return self.origin if self.origin.startswith((REDO, RETRY)) else ""

    @property
    def restored_epoch(self) -> int | None:
        """The epoch that early stopping kept, from 1; None without, or while the trial runs."""
        return None if self.end is None else read_restored_epoch(self.end.metrics)

    @property
    def value(self) -> float | None:
        """The last value of the curve, or that of the epoch that early stopping kept."""
        epoch = self.restored_epoch
        if epoch is not None and epoch <= len(self.curve):
            return self.curve[epoch - 1]
        return self.curve[-1] if self.curve else None

    @property
    def resumed(self) -> str:
        """After which epoch it was resumed from a checkpoint; empty for any other trial."""
        epoch = None if self.end is None else self.end.metrics.get("resumed_epoch")
        return "" if epoch is None else f"resumed after epoch {epoch:g}"


@dataclass
class SweepState:
    """A sweep in progress.

    Attributes:
        study: name of the study.
        experiment: what is searched.
        execution: what trials train on.
        done: number of complete and pruned trials of the study.
        best_trials: the best trials so far.
        wanted: number of complete or pruned trials at which the study is done.
        failed: number of trials that failed in this sweep.
        interrupted: number of trials that were running when this sweep was stopped.
        running: running trials by number.
        recent: the trials that ended last.
        restored_epochs: the epochs that early stopping kept, by the numbers of the best trials.
        is_finalize: whether it is a finalize, whose trainings are no trials of the study.
    """

    study: str
    experiment: Experiment
    execution: Execution
    done: int
    best_trials: ParetoFront
    wanted: int
    failed: int = 0
    interrupted: int = 0
    running: dict[int, TrialProgress] = field(default_factory=dict)
    recent: list[TrialProgress] = field(default_factory=list)
    restored_epochs: dict[int, int] = field(default_factory=dict)
    is_finalize: bool = False
    _done_at_start: int = 0
    _first_begun: float | None = None

    def __post_init__(self) -> None:
        self._done_at_start = self.done

    @property
    def noun(self) -> str:
        """What is trained: a trial, or a training of finalize."""
        return "training" if self.is_finalize else "trial"

    @property
    def objectives(self) -> Objectives:
        """What is optimized."""
        return self.experiment.search.goals

    @property
    def curve_metric(self) -> str:
        """The metric that is shown by epoch: the first objective that every epoch measures."""
        return next(iter(self.objectives.epoch_metrics), "val_loss")

    def apply(self, event: Event) -> TrialProgress | None:
        """Update the state; return the trial that the event ended."""
        match event:
            case TrialBegun():
                self._first_begun = self._first_begun or time.monotonic()
                self.running[event.trial] = TrialProgress(
                    event.trial, event.searched, event.origin, event.finalist
                )
            case EpochEnded():
                if self.curve_metric in event.metrics:
                    self.running[event.trial].curve.append(event.metrics[self.curve_metric])
            case TrialEnded():
                return self._end_trial(event)
            case _:
                pass
        return None

    def seconds_left(self) -> float | None:
        """Estimate the remaining seconds; None before a trial ended."""
        done_here = self.done - self._done_at_start
        if self._first_begun is None or done_here == 0:
            return None
        pace = (time.monotonic() - self._first_begun) / done_here
        return pace * max(0, self.wanted - self.done)

    def best(self) -> str:
        """Return the best trial so far as text.

        With several objectives it is the size of the Pareto front. Empty before a trial is
        complete, and in a finalize, where the means over seeds count.
        """
        if self.is_finalize:
            return ""
        found = self.best_trials.values
        if len(self.objectives) > 1:
            return f"{format_count(len(found), 'trial')} on the Pareto front" if found else ""
        for number, values in found.items():
            epoch = format_epoch(self.restored_epochs.get(number))
            return f"best {format_values(self.objectives, values)} (trial {number}{epoch})"
        return ""

    def failures(self) -> str:
        """Return how many trials failed and were interrupted as text; empty if none."""
        counts = {"failed": self.failed, "interrupted": self.interrupted}
        return ", ".join(f"{number} {name}" for name, number in counts.items() if number)

    def _end_trial(self, event: TrialEnded) -> TrialProgress | None:
        trial = self.running.pop(event.trial, None)
        if trial is None:  # recovered from an earlier sweep
            return None
        trial.end = event
        self.recent = [*self.recent, trial][-_RECENT_TRIALS:]
        if event.label == INTERRUPTED_LABEL:
            self.interrupted += 1
        elif event.state == "failed":
            self.failed += 1
        else:
            self.done += 1
        if event.state == "complete":
            self.best_trials.add(event.trial, event.values)
            if trial.restored_epoch is not None:
                self.restored_epochs[event.trial] = trial.restored_epoch
        return trial


def read_restored_epoch(metrics: Mapping[str, float]) -> int | None:
    """Return the epoch that early stopping kept, from a trial's last metrics; None without one."""
    epoch = metrics.get("restored_epoch")
    return None if epoch is None else int(epoch)


def format_epoch(epoch: int | None) -> str:
    """Return ", epoch 7" for the epoch that early stopping kept; empty for None."""
    return "" if epoch is None else f", epoch {epoch}"


def headline(state: SweepState) -> str:
    """Return one line about the sweep that begins."""
    already = f"{state.done} of {state.wanted} done, " if state.done else ""
    trials = format_count(state.wanted - state.done, state.noun)
    to_train = trials if state.is_finalize else f"{trials} to train"
    workers = format_count(state.execution.workers, "worker")
    where = f"{state.execution.backend}, {state.execution.device}"
    title = escape_line(state.experiment.title)
    return f"{state.study}: {title}; {already}{to_train} on {workers} ({where})"
