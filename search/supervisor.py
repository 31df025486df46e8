"""Supervisor: asks for trials, sends them to workers, decides on pruning, and records their ends.

One process, one loop, and the only writer of the study. The order in which it writes the journal,
Optuna and files is what recovery relies on (`assay.search.recovery`). docs/design.md lists it under
"Order of effects"; `make chaos` kills a supervisor before and after each of its steps.
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
from assay.search.events import EpochEnded, State, TrialEnded
from assay.search.journal import Journal
from assay.search.plan import SearchPlan
from assay.search.system.signals import StopRequest
from assay.search.workers.protocol import (
    RETRY,
    Died,
    Executor,
    Message,
    Method,
    Raised,
    Reply,
    Trial,
    TrialSource,
)

# How often the loop checks the stop request and the clocks while workers are silent.
_POLL_SECONDS = 0.2

_TIMED_OUT_ERROR = (
    "the worker did not answer within {:g} s and was killed; whatever it had done since the last "
    "answer is lost."
)


@dataclass
class _RunningTrial:
    """A trial in a worker: how far it has come, and what was measured."""

    trial: Trial
    planned_epochs: int
    epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    restored_epoch: int | None = None
    resumed_epoch: int | None = None
    checkpoint_error: str | None = None
    end: TrialEnded | None = None  # once it has trained its last epoch


@dataclass
class _Tally:
    """What the messages of one process came to: see `Supervisor._count_failure`."""

    failure_reason: str | None = None
    made_progress: bool = False


class Supervisor:
    """Works through a plan.

    Args:
        plan: what to work through.
        trials: the study, or another source of trials.
        executor: the workers.
        journal: written before every other store.
        stop: checked between messages.

    Example:
        >>> with Journal(path) as journal, StopRequest() as stop:
        ...     Supervisor(plan, study, executor, journal, stop).run()
    """

    def __init__(
        self,
        plan: SearchPlan,
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
        self._deadline: float | None = None
        self._running: dict[int, _RunningTrial] = {}  # by worker
        self._dropping: set[int] = set()  # workers that are discarding a trial that has failed
        self._called_at: dict[int, float] = {}  # by worker, for calls without an answer so far
        self._tally = _Tally()
        self._failures_in_a_row = 0
        self._failed_trials = 0  # since a trial was last finished

    def run(self) -> None:
        """Run until the plan is done, its time is up, or a stop is requested.

        Raises:
            SearchError: too many trials failed in a row, or workers cannot be started.
            WorkerBug: Assay's own code failed in a worker; the trial is not recorded as failed.
        """
        try:
            while not self._stop:
                self._start_trials()
                if not self._running and not self._may_start():
                    return
                self._start_clocks()
                messages = self._executor.wait(_POLL_SECONDS)
                heard = {self._executor.process(message.worker) for message in messages}
                # Before the messages are handled: that waits for a storage which is away, and a
                # worker is not to blame for this time.
                self._kill_unresponsive_workers(except_processes=heard)
                for _, group in itertools.groupby(
                    messages, key=lambda message: self._executor.process(message.worker)
                ):
                    self._handle_messages(group)
        finally:
            self._interrupt_trials()

    # Starting trials.

    def _may_start(self) -> bool:
        # Every running trial is expected to count. One that fails is replaced by another.
        expected = self._trials.count_done() + len(self._running)
        if expected >= self._plan.trials or not self._trials.has_next():
            return False
        return self._deadline is None or time.monotonic() < self._deadline

    def _start_trials(self) -> None:
        """Send a new trial to every idle worker."""
        for worker in self._executor.idle():
            if not self._may_start():
                return
            # The time starts with the first trial: what comes before is not the search's.
            if self._deadline is None and self._plan.timeout_seconds is not None:
                self._deadline = time.monotonic() + self._plan.timeout_seconds
            # 1. Optuna has the trial as RUNNING; only Optuna can give it a number.
            trial = self._trials.ask()
            if trial is None:
                return
            # 2. The journal, so that recovery can tell what a dead supervisor had begun.
            setup = self._plan.setup(trial)
            self._journal.append(trial.begun_event(setup.hyperparameters))
            # 3. The worker, whose files the two records above account for.
            self._running[worker] = _RunningTrial(trial, setup.epochs)
            self._call(worker, "begin", spec=setup.spec)

    def _call(self, worker: int, method: Method, **arguments: Any) -> None:
        self._called_at[worker] = math.inf  # until `_start_clocks`
        self._executor.call(worker, method, **arguments)

    # Workers that do not answer.

    def _start_clocks(self) -> None:
        """Start the clocks of the calls since the last wait.

        Calls of lanes are sent by `wait` and not before, and asking for a trial may have taken as
        long as the storage was away.
        """
        now = time.monotonic()
        self._called_at = {
            worker: min(called_at, now) for worker, called_at in self._called_at.items()
        }

    def _kill_unresponsive_workers(self, except_processes: Set[int]) -> None:
        """Kill the process of each worker whose time is over, and fail its trials."""
        limit = self._plan.failure_policy.trial_timeout_seconds
        if limit is None:
            return
        now = time.monotonic()
        overdue = {
            self._executor.process(worker)
            for worker, called_at in self._called_at.items()
            if now - called_at > limit
        }
        for process in overdue.difference(except_processes):
            workers = [
                worker for worker in self._called_at if self._executor.process(worker) == process
            ]
            # Killed before its trials are failed, so that no late answer can be taken for the
            # answer to a later call.
            self._executor.kill(workers[0])
            self._tally = _Tally()
            for worker in workers:
                del self._called_at[worker]
                self._dropping.discard(worker)
                if worker in self._running:
                    error = _TIMED_OUT_ERROR.format(limit)
                    self._fail(worker, self._running[worker], "timed out", error)
            self._count_failure()

    # Messages of workers.

    def _handle_messages(self, messages: Iterable[Message]) -> None:
        """Handle the messages of one process, then count them as a success or a failure."""
        self._tally = _Tally()
        for message in messages:
            self._called_at.pop(message.worker, None)
            self._handle_message(message)
        self._count_failure()

    def _count_failure(self) -> None:
        """Count a process whose trials all failed; give up after too many.

        Trials that train together answer together. If some of them fail while others go on, that
        says nothing of the search; if all of them fail, for example by the death of their worker,
        they fail for one reason.
        """
        if self._tally.failure_reason is None or self._tally.made_progress:
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= self._plan.failure_policy.max_failures:
            raise SearchError(
                f"the last {self._failed_trials} trials all failed; "
                f"the last one: {self._tally.failure_reason}."
            )

    def _handle_message(self, message: Message) -> None:
        worker = message.worker
        # The answer to "drop". Its trial has been recorded; only now is the worker free.
        if worker in self._dropping:
            self._dropping.remove(worker)
            if not isinstance(message, Died):
                self._executor.release(worker)
            return
        running = self._running.get(worker)
        if running is None:  # an idle worker died
            return
        match message:
            case Reply():
                self._advance(worker, running, message.value)
            case Raised(bug=True):
                # The trial is no failure: its configuration may be good. It ends as interrupted.
                raise WorkerBug(message.text)
            case Raised(out_of_memory=True):
                # The next trial would lack the memory that this worker holds, above all of a GPU,
                # and so would the workers beside it.
                self._executor.replace(worker)
                self._fail(worker, running, "out of memory", message.text)
            case Raised():
                self._drop(worker)
                self._fail(worker, running, f"error: {message.error}", message.text)
            case Died():
                self._fail(worker, running, f"crashed ({message.how})", message.note)
            case _:
                assert_never(message)

    # A trial, step by step.

    def _advance(self, worker: int, running: _RunningTrial, reply: Mapping[str, Any]) -> None:
        """Handle the answer to `begin`, `epoch` or `finish`, and make the next call."""
        if running.end is not None:
            self._finish(worker, running, running.end, reply)
        elif "metrics" in reply:
            if self._record_epoch(worker, running, reply):
                self._call(worker, "epoch")
        else:
            running.metrics["parameters"] = reply["parameters"]
            # Epochs that an earlier worker trained, up to the checkpoint, are recorded as this
            # trial's: a trial has all of its curve.
            resumed = reply.get("resumed", ())
            running.resumed_epoch = len(resumed) or None
            if all(self._record_epoch(worker, running, epoch) for epoch in resumed):
                self._call(worker, "epoch")

    def _record_epoch(self, worker: int, running: _RunningTrial, reply: Mapping[str, Any]) -> bool:
        """Record an epoch; return whether the trial trains another."""
        number, metrics = running.trial.number, reply["metrics"]
        running.epochs += 1
        running.metrics |= metrics
        running.checkpoint_error = reply.get("unkept", running.checkpoint_error)
        # 1. The journal, which has the last word on curves.
        self._journal.append(
            EpochEnded(
                trial=number,
                epoch=running.epochs,
                metrics=metrics,
                seconds=reply["seconds"],
                lanes=reply.get("lanes", 1),
            )
        )
        # After the journal: the curve shows the epoch in which a trial diverged.
        if not all(math.isfinite(value) for value in metrics.values()):
            self._drop(worker)
            self._fail(worker, running, "diverged", f"a metric is not finite: {dict(metrics)}")
            return False
        # A custom model may measure other metrics than Keras does by default.
        if missing := [name for name in self._plan.objectives.epoch_metrics if name not in metrics]:
            reason = f"error: the model measures no {' and no '.join(missing)}"
            self._drop(worker)
            self._fail(worker, running, reason, None)
            return False
        self._tally.made_progress = True
        # 2. Optuna, if its pruner is to decide.
        objective = self._plan.objectives.by_epoch
        prune = objective is not None and self._trials.report(
            number, running.epochs, metrics[objective.metric]
        )
        # A trial that has trained all its epochs is complete, whatever the pruner says.
        is_last = running.epochs == running.planned_epochs or reply.get("stopped", False)
        if is_last:
            self._restore_epoch(running, reply.get("restored"))
            self._end(worker, running, "complete")
        elif prune:
            self._end(worker, running, "pruned")
        return running.end is None

    def _restore_epoch(self, running: _RunningTrial, restored: Mapping[str, Any] | None) -> None:
        """Give the trial the metrics of the epoch whose weights early stopping has restored."""
        if restored is not None:
            running.metrics |= restored["metrics"]
            running.restored_epoch = restored["epoch"]

    def _end(self, worker: int, running: _RunningTrial, state: State) -> None:
        """Ask the worker to finish the trial.

        It saves the model if that may be among the best.
        """
        number = running.trial.number
        running.end = TrialEnded(trial=number, state=state)
        # None while an objective is measured only at the end: then it may be among the best.
        values = self._plan.objectives.values(running.metrics)
        keep = state == "complete" and (values is None or self._trials.admits(number, values))
        save_as = str(self._plan.model_store.path(number)) if keep else None
        self._call(worker, "finish", save_as=save_as)

    def _finish(
        self, worker: int, running: _RunningTrial, end: TrialEnded, costs: Mapping[str, Any]
    ) -> None:
        """Record a trial that is complete or pruned."""
        del self._running[worker]
        metrics = {name: value for name, value in costs.items() if name != "unsaved"}
        metrics["parameters"] = running.metrics["parameters"]
        if running.restored_epoch is not None:
            metrics["restored_epoch"] = running.restored_epoch
        if running.resumed_epoch is not None:
            metrics["resumed_epoch"] = running.resumed_epoch
        errors = {
            "the model could not be kept": costs.get("unsaved"),
            "checkpoints could not be kept": running.checkpoint_error,
        }
        error = "; ".join(f"{what}: {why}" for what, why in errors.items() if why is not None)
        # With the costs, which may be objectives.
        values = self._plan.objectives.values({**running.metrics, **metrics}) or ()
        self._record_end(
            running.trial,
            dataclasses.replace(end, values=values, metrics=metrics, error=error or None),
        )
        self._executor.release(worker)
        self._failures_in_a_row = self._failed_trials = 0
        self._tally.made_progress = True
        self._discard_models()

    def _discard_models(self) -> None:
        """Delete all models but those of the best trials and of the running ones.

        The worker of a running trial may be saving its model now.
        """
        running = {running.trial.number for running in self._running.values()}
        self._plan.model_store.keep_only({*running, *self._trials.best_trials()})

    def _drop(self, worker: int) -> None:
        """Have a worker discard its trial; it is idle after it has answered."""
        self._dropping.add(worker)
        self._call(worker, "drop")

    def _fail(self, worker: int, running: _RunningTrial, reason: str, error: str | None) -> None:
        """Record a trial that has failed; only many failures in a row end the search."""
        del self._running[worker]
        end = TrialEnded(trial=running.trial.number, state="failed", reason=reason, error=error)
        self._record_end(running.trial, end)
        self._failed_trials += 1
        self._tally.failure_reason = reason

    def _interrupt_trials(self) -> None:
        """Record the running trials as interrupted: the next sweep redoes them."""
        for running in self._running.values():
            end = TrialEnded(trial=running.trial.number, state="failed", reason="interrupted")
            # A store has failed, perhaps; then recovery does this at the next start.
            with contextlib.suppress(Exception):
                self._record_end(running.trial, end)
        self._running.clear()

    def _record_end(self, trial: Trial, end: TrialEnded) -> None:
        """Record the end of a trial."""
        # After a death between two of these steps, recovery does the rest.
        # 1. The journal: from here on the end is known, and nothing of it is lost.
        self._journal.append(end)
        # 2. Optuna, which recovery tells the same.
        self._trials.tell(end)
        # 3. The retry of a crash. That of an interruption is for the next sweep to enqueue.
        follow_up = self._plan.failure_policy.choose_follow_up(end.label, trial.attempt)
        if follow_up == RETRY:
            self._trials.enqueue_retry(trial)
        # 4. The checkpoint, last: a trial that is tried again goes on from it.
        if follow_up is None and self._plan.checkpoints is not None:
            self._plan.checkpoints.discard(trial)
