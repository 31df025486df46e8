"""What a new supervisor makes of trials that the last one left behind.

Called at the start of every sweep, on a study that nobody else has open, or that is shared: then
only those trials are settled that this journal's supervisors took, whoever else is at work.
Idempotent: after a death in the middle of it, running it again does the rest.

What becomes of a death between any two steps of a trial, CONTRIBUTING.md says under "The order of
effects".

A search that is not done then enqueues every trial that was interrupted and has not been redone,
and every one whose worker died that has attempts left and no retry: the last supervisor may have
died before it enqueued that.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from assay.search.events import StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal, read
from assay.search.study import StudyTrials
from assay.search.study_record import (
    ATTEMPT,
    CRASHED,
    INTERRUPTED,
    REDO_OF,
    RETRY_OF,
    STATE,
    StudyRecord,
)
from assay.search.workers.protocol import REDO, RETRY, Trial


def recover(
    trials: StudyRecord, journal: Journal, hyperparameters: Callable[[Trial], Mapping[str, Any]]
) -> None:
    """Settle every trial that Optuna believes to be running.

    Args:
        trials: the study.
        journal: the journal of the supervisors that have died; this process alone writes it.
        hyperparameters: makes of a trial all its hyperparameters by name, for the journal.
    """
    left_running = trials.left_running(supervisors(journal.path))
    if left_running:
        begun, ended = _settled(journal, trials.study_id)
        for left in left_running:
            end = ended.get(left.number)
            if end is None:
                if left.number not in begun:
                    journal.append(_beginning(left, trials, hyperparameters))
                end = TrialEnded(trial=left.number, state="failed", reason="interrupted")
                journal.append(end)
            trials.settle(left, end)


def supervisors(journal: Path) -> set[str]:
    """Return what the trials are known by that the supervisors of a journal took."""
    return {
        event.supervisor
        for event, _ in read(journal, only=[StudyOpened])
        if isinstance(event, StudyOpened)
    }


def _settled(journal: Journal, study_id: str) -> tuple[set[int], dict[int, TrialEnded]]:
    """Return which trials of the study the journal has begun, and their ends; an earlier one had
    its name, perhaps.
    """
    begun: set[int] = set()
    ended: dict[int, TrialEnded] = {}
    for event, _ in read(journal.path, only=[StudyOpened, TrialBegun, TrialEnded]):
        if isinstance(event, StudyOpened) and event.study_id != study_id:
            begun.clear()
            ended.clear()
        elif isinstance(event, TrialBegun):
            begun.add(event.trial)
        elif isinstance(event, TrialEnded):
            ended[event.trial] = event
    return begun, ended


def _beginning(
    left: FrozenTrial, trials: StudyRecord, hyperparameters: Callable[[Trial], Mapping[str, Any]]
) -> TrialBegun:
    trial = trials.as_asked(left)
    return TrialBegun(
        trial=trial.number,
        seed=trial.seed,
        params=hyperparameters(trial),
        searched=trial.searched,
        origin=trial.origin,
        attempt=trial.attempt,
        retry_of=trial.retry_of,
    )


def try_again(trials: StudyTrials, retries: int, dead: Container[str] = ()) -> int:
    """Enqueue once more what was interrupted, or crashed with attempts left, unless that was done;
    return how many.

    Each has the parameters and the seed of its first attempt. That it was interrupted counts as no
    attempt.

    Args:
        trials: the study.
        retries: how many more attempts a configuration gets whose worker died.
        dead: the supervisors whose crashed trials are looked at in a shared study: one that lives
            retries its own.
    """
    known = trials.study.get_trials(deepcopy=False)
    redone = {trial.user_attrs.get(REDO_OF) for trial in known}
    retried = {trial.user_attrs.get(RETRY_OF) for trial in known}
    enqueued = 0
    for trial in known:
        state, attempt = str(trial.user_attrs.get(STATE)), trial.user_attrs.get(ATTEMPT, 1)
        if state == INTERRUPTED and trial.number not in redone:
            kept = {
                name: trial.user_attrs[name]
                for name in (ATTEMPT, RETRY_OF)
                if name in trial.user_attrs
            }
            again = {REDO_OF: trial.number, **kept}
            enqueued += trials.enqueue_again(trial, f"{REDO} {trial.number}", again)
        elif not trials.is_of(dead, trial):
            continue
        elif state.startswith(CRASHED) and attempt <= retries and trial.number not in retried:
            again = {ATTEMPT: attempt + 1, RETRY_OF: trial.number}
            enqueued += trials.enqueue_again(trial, f"{RETRY} {trial.number}", again)
    return enqueued
