"""The supervisor: hands trials to workers, hears of every epoch, decides, and records what came of
it.

One process, one loop, and the only writer of the study. In which order a trial leaves its traces,
and what becomes of a death between any two of them, CONTRIBUTING.md says under "The order of
effects"; `assay.search.recovery` sees to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, assert_never

from assay.models.errors import SearchError, WorkerBug
from assay.search.events import EpochEnded, State, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.plan import Plan
from assay.search.system.signals import StopRequest
from assay.search.workers.protocol import (
    Died,
    Executor,
    Message,
    Method,
    Raised,
    Reply,
    Trial,
    TrialSource,
)

_SILENT = "the worker gave no sign of life for {:g} s and was ended; whatever it had done since is discarded."
_LOOK_UP_SECONDS = (
    0.2  # how often the loop looks at the stop request and at the clock when workers are silent
)


@dataclass
class _Running:
    trial: Trial
    epochs: int = 0
    measured: dict[str, float] = field(default_factory=dict)
    restored_epoch: int | None = None
    resumed_epoch: int | None = None
    unkept: str | None = None
    ending: TrialEnded | None = None


@dataclass
class _Heard:
    """What a process said at once: why a trial failed, if one did, and whether any trained an epoch
    or was finished.
    """

    failure: str | None = None
    progress: bool = False


class Supervisor:
    """Runs a plan to its end, or until it is asked to stop.

    Raises:
        SearchError: trials only fail, or workers can't be had.
        WorkerBug: Assay's own code went wrong in a worker. No trial is recorded as failed for it.
    """

    def __init__(
        self,
        plan: Plan,
        trials: TrialSource,
        executor: Executor,
        journal: Journal,
        stop: StopRequest,
    ) -> None:
        self._plan = plan
        self._trials = trials
        self._executor = executor
        self._journal = journal
        self._stop = stop
        self._running: dict[int, _Running] = {}
        self._dropping: set[int] = set()
        self._called_at: dict[int, float] = {}  # of calls that are not answered yet
        self._bad_news_in_a_row = 0  # as `_hear` counts them
        self._trials_failed = 0
        self._heard = _Heard()
        self._deadline: float | None = None

    def run(self) -> None:
        """Train until the plan is fulfilled, its time is up or a stop is requested."""
        try:
            while not self._stop:
                self._start_trials()
                if not self._running and not self._may_start():
                    return
                self._note_calls()
                news = self._executor.wait(_LOOK_UP_SECONDS)
                # Now, since what is said to the study may take as long as its storage is away.
                self._end_silent_workers(
                    {self._executor.process(message.worker) for message in news}
                )
                for _, told in itertools.groupby(
                    news, lambda message: self._executor.process(message.worker)
                ):
                    self._hear(told)
        finally:
            self._interrupt_trials()

    def _may_start(self) -> bool:
        wanted = (
            self._trials.done() + len(self._running) < self._plan.trials and self._trials.more()
        )
        return wanted and (self._deadline is None or time.monotonic() < self._deadline)

    def _start_trials(self) -> None:
        for worker in self._executor.idle():
            if not self._may_start():
                return
            if self._deadline is None and self._plan.timeout_seconds is not None:
                self._deadline = time.monotonic() + self._plan.timeout_seconds
            trial = self._trials.ask()
            if trial is None:
                return
            self._journal.append(
                TrialBegun(
                    trial=trial.number,
                    seed=trial.seed,
                    params=self._plan.hyperparameters(trial),
                    searched=trial.searched,
                    origin=trial.origin,
                    attempt=trial.attempt,
                    retry_of=trial.retry_of,
                )
            )
            self._running[worker] = _Running(trial)
            self._call(worker, "begin", spec=self._plan.trial_spec(trial))

    def _call(self, worker: int, method: Method, **arguments: Any) -> None:
        self._called_at[worker] = math.inf
        self._executor.call(worker, method, **arguments)

    def _note_calls(self) -> None:
        """Take the time of calls since the last wait: some are sent only then, after as long as the
        study took.
        """
        now = time.monotonic()
        self._called_at = {worker: min(at, now) for worker, at in self._called_at.items()}

    def _hear(self, messages: Iterable[Message]) -> None:
        """Handle what a process says at once. If nothing of it is good news, that counts as one
        failure in a row.

        Of trials that train together all hear of an epoch at once: those that fail in it say
        nothing of the search as long as others go on, and when all fail, say by the death of their
        worker, it is for one reason.
        """
        self._heard = _Heard()
        for message in messages:
            self._called_at.pop(message.worker, None)
            self._handle(message)
        self._count_failure()

    def _end_silent_workers(self, heard: Set[int]) -> None:
        """End every process, but those just heard, of which a worker answers too late; its trials
        have failed.
        """
        limit = self._plan.failure_policy.trial_timeout_seconds
        if limit is None:
            return
        now = time.monotonic()
        silent = [
            worker for worker, called_at in self._called_at.items() if now - called_at > limit
        ]
        for process in {self._executor.process(worker) for worker in silent}.difference(heard):
            inside = [
                worker for worker in self._called_at if self._executor.process(worker) == process
            ]
            # First, so that nothing it may still say can be taken for an answer.
            self._executor.kill(inside[0])
            self._heard = _Heard()
            for worker in inside:
                del self._called_at[worker]
                self._dropping.discard(worker)
                if worker in self._running:
                    self._fail(worker, self._running[worker], "timed out", _SILENT.format(limit))
            self._count_failure()

    def _count_failure(self) -> None:
        heard = self._heard
        if heard.failure is None or heard.progress:
            return
        self._bad_news_in_a_row += 1
        if self._bad_news_in_a_row >= self._plan.failure_policy.max_failures:
            raise SearchError(
                f"the last {self._trials_failed} trials all failed; the last one: {heard.failure}."
            )

    def _handle(self, message: Message) -> None:
        worker = message.worker
        if worker in self._dropping:
            self._dropping.remove(worker)
            if not isinstance(message, Died):
                self._executor.release(worker)
            return
        running = self._running.get(worker)
        if running is None:  # it died between two trials
            return
        match message:
            case Reply():
                self._advance(worker, running, message.value)
            case Raised(bug=True):
                raise WorkerBug(message.text)
            case Raised(out_of_memory=True):
                # What it holds, of a card above all, would be missing in its next trial, or in its
                # neighbour's.
                self._executor.replace(worker)
                self._fail(worker, running, "out of memory", message.text)
            case Raised():
                self._drop(worker)
                self._fail(worker, running, f"error: {message.error}", message.text)
            case Died():
                self._fail(worker, running, f"crashed ({message.how})", message.note)
            case _:
                assert_never(message)

    def _advance(self, worker: int, running: _Running, reply: Mapping[str, Any]) -> None:
        """Take a trial one step on: begun, its epochs, finished."""
        if running.ending is not None:
            self._finish(worker, running, reply)
        elif "metrics" in reply:
            if self._epoch_ended(worker, running, reply):
                self._call(worker, "epoch")
        else:
            running.measured["parameters"] = reply["parameters"]
            # What an earlier worker had trained of it counts as if it had been trained now.
            resumed = reply.get("resumed", ())
            running.resumed_epoch = len(resumed) or None
            if all(self._epoch_ended(worker, running, epoch) for epoch in resumed):
                self._call(worker, "epoch")

    def _epoch_ended(self, worker: int, running: _Running, reply: Mapping[str, Any]) -> bool:
        """Record an epoch; return whether the trial shall train another."""
        number, metrics = running.trial.number, reply["metrics"]
        running.epochs += 1
        running.measured |= metrics
        running.unkept = reply.get("unkept", running.unkept)
        self._journal.append(
            EpochEnded(
                trial=number, epoch=running.epochs, metrics=metrics, seconds=reply["seconds"]
            )
        )
        if not all(math.isfinite(value) for value in metrics.values()):
            self._drop(worker)
            self._fail(worker, running, "diverged", f"a metric is not finite: {dict(metrics)}")
            return False
        if missing := [name for name in self._plan.objectives.epoch_metrics if name not in metrics]:
            # A model of the user's own may measure what it likes.
            self._drop(worker)
            self._fail(
                worker, running, f"error: the model measures no {' and no '.join(missing)}", None
            )
            return False
        self._heard.progress = True
        objective = self._plan.objectives.by_epoch
        prune = objective is not None and self._trials.report(
            number, running.epochs, metrics[objective.metric]
        )
        if running.epochs == self._plan.epochs(running.trial) or reply.get("stopped", False):
            self._restore(running, reply.get("restored"))
            self._end(worker, running, "complete")
        elif prune:
            self._end(worker, running, "pruned")
        return running.ending is None

    def _restore(self, running: _Running, restored: Mapping[str, Any] | None) -> None:
        """Have the trial count as what it is once early stopping has brought an earlier epoch's
        weights back.
        """
        if restored is not None:
            running.measured |= restored["metrics"]
            running.restored_epoch = restored["epoch"]

    def _end(self, worker: int, running: _Running, state: State) -> None:
        """Have the worker finish, keeping the model of a trial that will be, or may be, among the
        best.
        """
        number = running.trial.number
        running.ending = TrialEnded(trial=number, state=state)
        values = self._plan.objectives.values(running.measured)
        keep = state == "complete" and (values is None or self._trials.admits(number, values))
        self._call(
            worker, "finish", save_as=str(self._plan.model_store.path(number)) if keep else None
        )

    def _finish(self, worker: int, running: _Running, costs: Mapping[str, Any]) -> None:
        assert running.ending is not None
        del self._running[worker]
        metrics = {name: value for name, value in costs.items() if name != "unsaved"}
        metrics["parameters"] = running.measured["parameters"]
        for name in ("restored_epoch", "resumed_epoch"):
            if (epoch := getattr(running, name)) is not None:
                metrics[name] = epoch
        kept = {
            "the model could not be kept": costs.get("unsaved"),
            "checkpoints could not be kept": running.unkept,
        }
        end = dataclasses.replace(
            running.ending,
            values=self._plan.objectives.values({**running.measured, **metrics}) or (),
            metrics=metrics,
            error="; ".join(f"{what}: {why}" for what, why in kept.items() if why is not None)
            or None,
        )
        self._record(running.trial, end)
        self._executor.release(worker)
        self._bad_news_in_a_row = self._trials_failed = 0
        self._heard.progress = True
        self._discard_models()

    def _discard_models(self) -> None:
        """Keep the models of the best trials, and those that trials are about to end with."""
        ending = {running.trial.number for running in self._running.values()}
        self._plan.model_store.clear(keep={*ending, *self._trials.best_trials()})

    def _drop(self, worker: int) -> None:
        """Have a worker forget its trial; it is free once it says that it has."""
        self._dropping.add(worker)
        self._call(worker, "drop")

    def _fail(self, worker: int, running: _Running, reason: str, error: str | None) -> None:
        """Record the failure. A trial that failed never stops the search; many in a row do."""
        del self._running[worker]
        self._record(
            running.trial,
            TrialEnded(trial=running.trial.number, state="failed", reason=reason, error=error),
        )
        self._trials_failed += 1
        self._heard.failure = reason

    def _interrupt_trials(self) -> None:
        for running in self._running.values():
            # What can't be recorded, because a store has failed, is settled at the next start.
            with contextlib.suppress(Exception):
                end = TrialEnded(trial=running.trial.number, state="failed", reason="interrupted")
                self._record(running.trial, end)
        self._running.clear()

    def _record(self, trial: Trial, end: TrialEnded) -> None:
        """Write a trial's end in the order that recovery relies on; what a death leaves undone, it
        does.
        """
        self._journal.append(end)
        self._trials.tell(end)
        if end.is_crashed and self._plan.may_go_on(trial, end):
            self._trials.retry(trial)
        if self._plan.checkpoints is not None and not self._plan.may_go_on(trial, end):
            self._plan.checkpoints.forget(trial)
