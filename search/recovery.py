"""Recovery: what a new supervisor does about trials that the last one left.

`recover` runs at the start of every sweep and in `assay doctor --fix`, on a study that no other
process has open, or on a shared study; there it settles only trials of this journal's supervisors.
`enqueue_follow_ups` then enqueues what is to be tried again. Both are idempotent: after a death in
the middle, the next call does the rest.

docs/design.md says under "Order of effects" what a death between any two steps of a trial leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from assay.search.events import StudyOpened, TrialBegun, TrialEnded
from assay.search.failure_policy import FailurePolicy
from assay.search.journal import Journal, read_events
from assay.search.storage.stored_values import ATTEMPT, REDO_OF, RETRY_OF, STATE
from assay.search.study import StudyTrials
from assay.search.study_record import StudyRecord
from assay.search.workers.protocol import REDO, Trial


def recover(
    record: StudyRecord, journal: Journal, hyperparameters: Callable[[Trial], Mapping[str, Any]]
) -> None:
    """Settle every trial that is RUNNING although its supervisor has died.

    Args:
        record: the study.
        journal: the journal of the dead supervisors; no other process writes it.
        hyperparameters: returns every hyperparameter of a trial by name, for the journal.
    """
    stale = record.stale_trials(journal_supervisors(journal.path))
    if not stale:
        return
    begun, ended = _journal_trials(journal, record.study_id)
    for frozen in stale:
        end = ended.get(frozen.number)
        # The same order as the supervisor's: the journal, then Optuna.
        if end is None:
            if frozen.number not in begun:
                trial = record.restore_trial(frozen)
                journal.append(trial.begun_event(hyperparameters(trial)))
            end = TrialEnded(trial=frozen.number, state="failed", reason="interrupted")
            journal.append(end)
        record.settle_trial(frozen, end)


def journal_supervisors(journal: Path) -> set[str]:
    """Return the ids of all supervisors that have written a journal."""
    return {
        event.supervisor
        for event, _ in read_events(journal, only=[StudyOpened])
        if isinstance(event, StudyOpened)
    }


def _journal_trials(journal: Journal, study_id: str) -> tuple[set[int], dict[int, TrialEnded]]:
    """Return the begun trials of a study, and the ends of ended ones."""
    begun: set[int] = set()
    ended: dict[int, TrialEnded] = {}
    is_of_study = False
    for event, _ in read_events(journal.path, only=[StudyOpened, TrialBegun, TrialEnded]):
        # An earlier study of this name, since deleted, had the same journal and numbers.
        if isinstance(event, StudyOpened):
            is_of_study = event.study_id == study_id
        elif is_of_study and isinstance(event, TrialBegun):
            begun.add(event.trial)
        elif is_of_study and isinstance(event, TrialEnded):
            ended[event.trial] = event
    return begun, ended


def enqueue_follow_ups(
    trials: StudyTrials, policy: FailurePolicy, dead: Container[str] = ()
) -> int:
    """Enqueue the redos and retries that are due and not enqueued yet; return their number.

    The last supervisor enqueues no redo, and may have died before it enqueued a retry.

    Args:
        trials: the study.
        policy: which trials are tried again.
        dead: in a shared study, the supervisors whose crashed trials are retried here: one that
            lives retries its own.
    """
    known = trials.study.get_trials(deepcopy=False)
    redone = {trial.user_attrs.get(REDO_OF) for trial in known}
    retried = {trial.user_attrs.get(RETRY_OF) for trial in known}
    enqueued = 0
    for trial in known:
        label = str(trial.user_attrs.get(STATE))
        follow_up = policy.choose_follow_up(label, trial.user_attrs.get(ATTEMPT, 1))
        if follow_up is None:
            continue
        if follow_up == REDO:
            is_due = trial.number not in redone
        else:
            is_due = trial.number not in retried and trials.belongs_to(dead, trial)
        if is_due:
            enqueued += trials.enqueue_again(trial, follow_up)
    return enqueued
