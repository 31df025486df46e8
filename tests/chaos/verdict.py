"""Invariants of a home after kills and failures.

They are checked in its journal, in its stores, and in the log of the workers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import optuna

from assay.experiments.maintenance.doctor import diagnose
from assay.experiments.results.finalizes import planned_trainings, read_finalizes
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.lookup import search_runs
from assay.experiments.tracking.registry import find_versions
from assay.experiments.tracking.schema import (
    OPENING_TAG,
    OPENINGS_TAG,
    PARENT_TAG,
    STUDY_ID_TAG,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.events import (
    CRASHED_LABEL,
    INTERRUPTED_LABEL,
    EpochEnded,
    TestSetOpened,
    TrialEnded,
)
from assay.search.history import read_history
from assay.search.journal import read_events
from assay.search.samplers.grid_sampler import ENQUEUED
from assay.search.storage.stored_values import ATTEMPT, SEED, STATE, STUDY_ID
from assay.search.study_record import StudyRecord
from tests.chaos.sessions import Sessions, is_alive
from tests.chaos.trainer import accuracy

_ORPHAN_SECONDS = 10.0
_DONE = ("complete", "pruned")


@dataclass
class Verdict:
    """Number of violations of each invariant; all 0 is good.

    Attributes:
        lost: trials that were complete or pruned in the journal before a kill, and are not in
            Optuna.
        twice: surplus trials of configurations that are complete or pruned more than once.
        running: trials and runs that are RUNNING although no process runs them.
        orphans: worker processes that outlived their supervisor by 10 s.
        attempts: configurations with more attempts than allowed.
        forgotten: trials that were interrupted, or crashed with attempts left, and were not tried
            again although training went on.
        wrong: values that differ from those that the worker measured.
        disagreements: differences that `assay doctor` reports.
        told: messages about the violations.
    """

    lost: int = 0
    twice: int = 0
    running: int = 0
    orphans: int = 0
    attempts: int = 0
    forgotten: int = 0
    wrong: int = 0
    disagreements: int = 0
    told: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether there is no violation and no message."""
        return not any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        counted = ", ".join(
            f"{field.name} {getattr(self, field.name)}"
            for field in fields(self)
            if field.name != "told"
        )
        return "; ".join([counted, *self.told[:3]])


def ended_well(home: Path, study: str) -> set[int]:
    """Return the trials that are complete or pruned in a home's journals."""
    journals = StorePaths.choose(home=home).workspace.journals(study)
    events = (event for journal in journals for event, _ in read_events(journal, only=[TrialEnded]))
    return {
        event.trial for event in events if isinstance(event, TrialEnded) and event.state in _DONE
    }


def judge_finalizes(sessions: Sessions, study: str) -> tuple[Verdict, int]:
    """Check the finalizes of a study, the last of which came to its end.

    Returns:
        The verdict, and how many times the test set was opened.
    """
    store_paths = sessions.store_paths
    study_id = load_optuna_study(study, store_paths).user_attrs[STUDY_ID]
    journal = store_paths.workspace.finalize_journal(study)
    records = read_finalizes(journal, study_id)
    opened = [
        event.opening
        for event, _ in read_events(journal, only=[TestSetOpened])
        if isinstance(event, TestSetOpened)
    ]
    lost = twice = wrong = 0
    for record in records:
        planned = {training.seed for training in planned_trainings(record.plan)}
        complete = Counter(
            training.begun.seed for training in record.trainings.values() if training.is_complete
        )
        lost += len(planned - complete.keys())
        twice += sum(count - 1 for count in complete.values())
        wrong += sum(
            training.end.values != (accuracy(training.begun.seed, len(training.epochs)),)
            or training.tested is None
            for training in record.trainings.values()
            if training.end is not None and training.is_complete
        )
    filter_string = f"tags.`{STUDY_ID_TAG}` = '{study_id}'"
    client = open_client(store_paths.tracking_uri)
    runs = list(search_runs(client, filter_string))
    (parent,) = [run for run in runs if PARENT_TAG not in run.data.tags]
    told = []
    if opened != [*range(1, len(records) + 1)]:
        told.append(f"openings {opened} of {len(records)} finalizes")
    if parent.data.tags.get(OPENINGS_TAG) != str(len(records)):
        told.append(f"MLflow has {parent.data.tags.get(OPENINGS_TAG)} of {len(records)} openings")
    versions = Counter(found.tags[OPENING_TAG] for found in find_versions(client, study_id))
    if versions != {str(record.plan.opening): 1 for record in records}:
        told.append(f"versions {dict(versions)} by opening, of {len(records)} finalizes")
    if left := [*store_paths.workspace.finalists(study).rglob("*.keras")]:
        told.append(f"{left[0]} is left")
    verdict = Verdict(
        lost=lost,
        twice=twice,
        wrong=wrong,
        running=sum(run.info.status == "RUNNING" for run in runs),
        disagreements=len(diagnose(store_paths, fix=False).differences),
        told=tuple(told),
    )
    return verdict, len(opened)


def judge(
    sessions: Sessions,
    study: str,
    finished_before: set[int],
    retries: int = 1,
    value: Callable[[int, int], float] = accuracy,
) -> Verdict:
    """Check a study that was resumed after the last kill, and is done.

    Args:
        sessions: sessions of the home.
        study: name of the study.
        finished_before: trials that were complete or pruned before a kill.
        retries: number of retries that the study allows.
        value: returns the expected value of a trial, given its seed and its number of epochs.
    """
    store_paths = sessions.store_paths
    known = load_optuna_study(study, store_paths)
    trials = [trial for trial in known.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
    history = read_history(store_paths.workspace.journals(study), known.user_attrs[STUDY_ID])
    done = {trial.number: trial for trial in trials if trial.user_attrs.get(STATE) in _DONE}
    crashes = Counter(
        trial.user_attrs[SEED]
        for trial in trials
        if str(trial.user_attrs.get(STATE)).startswith("failed: crashed")
    )
    diagnosis = diagnose(store_paths, fix=False)
    forgotten = _forgotten(known, store_paths.workspace.journal(study), retries)
    return Verdict(
        lost=len(finished_before - done.keys()),
        twice=sum(
            count - 1
            for count in Counter(trial.user_attrs[SEED] for trial in done.values()).values()
        ),
        running=sum(trial.state.name == "RUNNING" for trial in trials)
        + _runs_left_running(store_paths, known.user_attrs[STUDY_ID]),
        orphans=orphans(sessions),
        attempts=sum(count > retries + 1 for count in crashes.values()),
        forgotten=len(forgotten),
        wrong=sum(
            trial.value != value(trial.user_attrs[SEED], len(history.trials[number].epochs))
            for number, trial in done.items()
            if number in history.trials  # otherwise another home ran it
        ),
        disagreements=len(diagnosis.differences),
        told=(
            *map(str, diagnosis.differences),
            *(f"trial {number} was not tried again" for number in sorted(forgotten)),
        ),
    )


def _runs_left_running(store_paths: StorePaths, study_id: str) -> int:
    """Return how many runs of a study are RUNNING in MLflow."""
    filter_string = f"tags.`{STUDY_ID_TAG}` = '{study_id}' AND attributes.status = 'RUNNING'"
    return sum(1 for _ in search_runs(open_client(store_paths.tracking_uri), filter_string))


def _forgotten(known: optuna.Study, journal: Path, retries: int) -> set[int]:
    """Return the trials that were due to be tried again and were not."""
    trials = known.get_trials(deepcopy=False)
    ended: set[int] = set()
    due: set[int] = set()
    for event, _ in read_events(journal):
        if isinstance(event, TrialEnded):
            is_interrupted = event.label == INTERRUPTED_LABEL
            has_attempts_left = (
                event.label.startswith(CRASHED_LABEL)
                and trials[event.trial].user_attrs.get(ATTEMPT, 1) <= retries
            )
            ended |= {event.trial} if is_interrupted or has_attempts_left else set()
        elif isinstance(event, EpochEnded):
            due |= ended
    # A trial that ended before its hyperparameters were drawn is not tried again.
    due = {
        number
        for number in due
        if trials[number].params or trials[number].system_attrs.get(ENQUEUED)
    }
    # A trial that was killed before its seed was stored has the seed derived from its number.
    seeds = [StudyRecord(known, known._storage).restore_trial(trial).seed for trial in trials]
    latest = {seed: number for number, seed in enumerate(seeds)}
    return {number for number in due if latest[seeds[number]] == number}


def orphans(sessions: Sessions) -> int:
    """Return how many workers outlive their supervisor by 10 s."""
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while (
        alive := [pid for pid in sessions.worker_pids() if is_alive(pid)]
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(alive)
