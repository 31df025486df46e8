"""Repairing one study, so that its stores agree.

Optuna decides on state, value and parameters, the journal on curves. A death between any two of
these steps leaves a study that the same command repairs:

1. Settle trials that no process runs, as the start of a sweep does.
2. Add to the journal what Optuna has and the journal does not.
3. Restore runs that a user deleted, where their trial has no other run, put runs with a wrong
   parent below the study's run, and delete tags that no longer hold, such as that of a registered
   model version that is gone: step 6 writes them anew.
4. Quarantine runs that are wrong: MLflow can neither change a parameter nor remove a point of a
   metric. They are deleted, and no longer tagged as runs of the study.
5. Pass the journals on to MLflow from their beginning, which leaves unchanged what is right.
6. Settle and pass on the journal of the study's finalizes likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.maintenance.examine import Examination
from assay.experiments.maintenance.finalists import settle_finalize
from assay.experiments.results.listing import list_studies
from assay.experiments.run.study_locks import model_store_of, track_journal
from assay.experiments.tracking.schema import PARENT_TAG, STUDY_ID_TAG
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.files import delete_file
from assay.search.artifacts import study_closed_event
from assay.search.events import EpochEnded, State, StudyClosed, TrialEnded
from assay.search.history import StudyHistory, read_history
from assay.search.importances import DEFAULT_EVALUATOR, interrupted_importances
from assay.search.journal import Journal, last_event
from assay.search.objective import Objectives
from assay.search.recovery import journal_supervisors, recover
from assay.search.storage.stored_values import STATE, SUPERVISOR
from assay.search.study_record import STATES, StudyRecord, load_study_record, objectives_of
from assay.search.system.urls import is_shared_database, store_exists
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_QUARANTINED_FROM_TAG = "assay.set_aside_from"


def repair_study(study: str, examination: Examination, store_paths: StorePaths) -> None:
    """Repair what an examination found.

    The caller holds all locks of the study.

    Args:
        study: name of the study.
        examination: what differs.
        store_paths: where the stores are.

    Raises:
        RequestError: a store can't be reached.
        SearchError: the journal or the storage can't be written.
    """
    journals = [journal for journal in store_paths.workspace.journals(study) if journal.exists()]
    if read_history(journals, examination.study_id).opened is None:
        return  # another home ran it, and has its journals
    record = _load_record(study, store_paths) if study in list_studies(store_paths) else None
    for journal_file in journals:
        with Journal(journal_file) as journal:
            if record is not None:
                recover(record, journal, partial(_hyperparameters, record))
                history = read_history(journals, examination.study_id)
                _complete_journal(record, journal, history)
            if not isinstance(last_event(journal_file), StudyClosed):
                best_trials = {} if record is None else record.best_trials()
                model_store = model_store_of(store_paths.workspace, study)
                tags = {} if record is None else _evaluation_tags(record, journals)
                journal.append(study_closed_event("interrupted", best_trials, model_store, tags))
    if store_exists(store_paths.tracking_uri):
        _repair_runs(examination, store_paths)
    for journal_file in journals:
        # Without a cursor the tracker begins at the beginning.
        delete_file(journal_file.with_suffix(".tracked"))
        track_journal(journal_file, store_paths)
    settle_finalize(study, examination.study_id, store_paths)


def _evaluation_tags(record: StudyRecord, journals: Sequence[Path]) -> Mapping[str, str]:
    from assay.experiments.evaluation.study_evaluation import evaluate_study

    objectives = objectives_of(record.study)
    evaluation = evaluate_study(record.study, objectives, journals)
    return evaluation.tags(interrupted_importances(record.study, DEFAULT_EVALUATOR, objectives))


def _load_record(study: str, store_paths: StorePaths) -> StudyRecord | None:
    from assay.search.storage.opening import open_storage
    from assay.search.storage.write_through import WriteThroughStorage

    storage: BaseStorage = open_storage(store_paths.storage)
    # Only where no other process can write the study, what was read once stays true.
    if not is_shared_database(store_paths.storage):
        storage = WriteThroughStorage(storage)
    return load_study_record(storage, study)


def _hyperparameters(record: StudyRecord, trial: Trial) -> Mapping[str, Any]:
    """Return every hyperparameter of a trial by name."""
    # The experiment's file may have changed since; the fingerprint has what was fixed then.
    return {**(record.fingerprint or {}).get("fixed", {}), **trial.searched}


def _complete_journal(record: StudyRecord, journal: Journal, history: StudyHistory) -> None:
    """Append what Optuna has of ended trials and the journal lacks.

    A parameter that differs is not repaired: no sweep changes one, so a person must find out what
    did.
    """
    objectives = objectives_of(record.study)
    supervisors = journal_supervisors(journal.path)
    for frozen in record.study.get_trials(deepcopy=False):
        if not frozen.state.is_finished():
            continue
        recorded = history.trials.get(frozen.number)
        is_unclaimed = recorded is None and record.is_shared and SUPERVISOR not in frozen.user_attrs
        # Of several journals, only that of the trial's supervisor records it.
        if not record.belongs_to(supervisors, frozen) or is_unclaimed:
            continue
        end = _missing_end(frozen, recorded.end if recorded is not None else None)
        if recorded is None:
            trial = record.restore_trial(frozen)
            journal.append(trial.begun_event(_hyperparameters(record, trial)))
            for epoch in _epochs_in_optuna(frozen, objectives):
                journal.append(epoch)
        if end is not None:
            journal.append(end)


def _epochs_in_optuna(frozen: FrozenTrial, objectives: Objectives) -> list[EpochEnded]:
    """Return the epochs of a trial, with the objective's metric alone."""
    if objectives.by_epoch is None:
        return []
    metric = objectives.by_epoch.metric
    return [
        EpochEnded(trial=frozen.number, epoch=epoch, metrics={metric: value}, seconds=0.0)
        for epoch, value in sorted(frozen.intermediate_values.items())
    ]


def _missing_end(frozen: FrozenTrial, recorded: TrialEnded | None) -> TrialEnded | None:
    """Return the end of a trial by Optuna; None if the journal has the same."""
    state: State = next(name for name, known in STATES.items() if known == frozen.state)
    values = tuple(frozen.values or ())
    label = str(frozen.user_attrs.get(STATE, ""))
    reason = label.partition(": ")[2] or "unknown" if state == "failed" else None
    if recorded is None:
        return TrialEnded(trial=frozen.number, state=state, values=values, reason=reason)
    is_same_state = (recorded.state, recorded.reason) == (state, reason)
    if is_same_state and (not values or recorded.values == values):
        return None
    return TrialEnded(
        trial=frozen.number,
        state=state,
        values=values,
        reason=reason,
        metrics=recorded.metrics,
        error=recorded.error,
    )


def _repair_runs(examination: Examination, store_paths: StorePaths) -> None:
    """Restore deleted runs, move misparented ones, quarantine wrong ones, and delete stale tags."""
    client = open_client(store_paths.tracking_uri)
    for difference in examination.differences:
        if difference.deleted_run is not None:
            client.restore_run(difference.deleted_run)
        if difference.misparented_run is not None:
            run_id, parent = difference.misparented_run
            client.set_tag(run_id, PARENT_TAG, parent)
        if difference.stale_tag is not None:
            client.delete_tag(*difference.stale_tag)
    wrong_runs = {
        difference.wrong_run
        for difference in examination.differences
        if difference.wrong_run is not None
    }
    for wrong_run in wrong_runs:
        # The tags before the deletion: MLflow refuses tags on a deleted run.
        client.set_tag(wrong_run, _QUARANTINED_FROM_TAG, str(examination.study_id))
        client.set_tag(wrong_run, STUDY_ID_TAG, f"{examination.study_id} (set aside)")
        client.delete_run(wrong_run)
