"""Making the stores agree again: Optuna's word on state, value and parameters, the journal's on
curves.

In this order, so that a death in the middle leaves something that the same command goes on with:

1. Trials that nobody runs are settled, as at the start of a sweep.
2. What Optuna knows and the journal does not, the journal is told.
3. Runs that somebody deleted are restored, where their trial has no other; what MLflow shows below
   another run than the study's is put below that.
4. Runs that can't be put right, since MLflow changes no parameter and takes back no point, are set
   aside: deleted, as MLflow does it, and no longer said to be of the study.
5. The journal is passed on to MLflow from its beginning, which leaves what is right as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from assay.experiments.maintenance.examine import Examined
from assay.experiments.results.history import History, read_history
from assay.experiments.results.listing import study_names
from assay.experiments.run.study_locks import model_store_of, pass_on
from assay.experiments.tracking.schema import PARENT_TAG, STUDY_ID_TAG
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.artifacts import closing_of
from assay.search.events import EpochEnded, State, StudyClosed, TrialBegun, TrialEnded
from assay.search.journal import Journal, last
from assay.search.objective import Objectives, ParetoFront, Values
from assay.search.recovery import recover, supervisors
from assay.search.storage.postgresql import SUPERVISOR
from assay.search.study_record import FINGERPRINT, STATE, STATES, StudyRecord
from assay.search.system.urls import database_is_shared, is_there
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_QUARANTINED_FROM_TAG = "assay.set_aside_from"


def mend(study: str, examined: Examined, store_paths: StorePaths) -> None:
    """Make the stores agree on a study, as far as that can be. Whoever calls holds the study's
    lock.

    Raises:
        RequestError: a store can't be reached.
        SearchError: the journal or the storage can't be written.
    """
    journals = [journal for journal in store_paths.workspace.journals(study) if journal.exists()]
    if read_history(journals, examined.study_id).opened is None:
        return  # another home ran it
    known = _load(study, store_paths) if study in study_names(store_paths) else None
    for journal_file in journals:
        with Journal(journal_file) as journal:
            if known is not None:
                recover(known, journal, partial(_described, known))
                _tell_journal(known, journal, read_history(journals, examined.study_id))
            if not isinstance(last(journal_file), StudyClosed):
                best_trials = {} if known is None else _best_trials(known)
                journal.append(
                    closing_of(
                        "interrupted", best_trials, model_store_of(store_paths.workspace, study)
                    )
                )
    if is_there(store_paths.tracking_uri):
        _clear(examined, store_paths)
    for journal_file in journals:
        journal_file.with_suffix(".tracked").unlink(missing_ok=True)
        pass_on(journal_file, store_paths)


def _load(study: str, store_paths: StorePaths) -> StudyRecord:
    import optuna  # here, because a home without studies needs none of it

    from assay.search.storage.opening import open_storage
    from assay.search.storage.write_through import WriteThroughStorage

    storage: optuna.storages.BaseStorage = open_storage(store_paths.storage)
    if not database_is_shared(store_paths.storage):
        storage = WriteThroughStorage(storage)
    return StudyRecord(
        optuna.load_study(
            study_name=study, storage=storage, sampler=optuna.samplers.RandomSampler()
        )
    )


def _best_trials(known: StudyRecord) -> Mapping[int, Values]:
    complete = known.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    goals = Objectives.read(known.study.user_attrs[FINGERPRINT]["objectives"])
    return ParetoFront(goals, {trial.number: tuple(trial.values) for trial in complete}).ranked()


def _described(known: StudyRecord, trial: Trial) -> Mapping[str, Any]:
    """Return all hyperparameters of a trial, as its experiment would."""
    return {**known.study.user_attrs.get(FINGERPRINT, {}).get("fixed", {}), **trial.searched}


def _tell_journal(known: StudyRecord, journal: Journal, history: History) -> None:
    """Append what Optuna has of trials that are over, where the journal has another end or nothing.

    A parameter that differs is left as it is: no sweep changes one, so somebody must look at who
    did.
    """
    goals = Objectives.read(known.study.user_attrs[FINGERPRINT]["objectives"])
    ours = supervisors(journal.path)
    for trial in known.study.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            continue
        told = history.trials.get(trial.number)
        if not known.is_of(ours, trial) or (
            told is None and known.is_shared and SUPERVISOR not in trial.user_attrs
        ):
            continue  # it is another journal's to tell of it
        asked = known.as_asked(trial)
        end = _end(trial, told.end if told is not None else None)
        if told is None:
            journal.append(
                TrialBegun(
                    trial=trial.number,
                    seed=asked.seed,
                    params=_described(known, asked),
                    searched=asked.searched,
                    origin=asked.origin,
                    attempt=asked.attempt,
                    retry_of=asked.retry_of,
                )
            )
            for epoch in _epochs(trial, goals):
                journal.append(epoch)
        if end is not None:
            journal.append(end)


def _epochs(trial: FrozenTrial, goals: Objectives) -> list[EpochEnded]:
    """Return what Optuna knows of a curve: the objective's."""
    if goals.by_epoch is None:
        return []
    return [
        EpochEnded(
            trial=trial.number, epoch=epoch, metrics={goals.by_epoch.metric: value}, seconds=0.0
        )
        for epoch, value in sorted(trial.intermediate_values.items())
    ]


def _end(trial: FrozenTrial, told: TrialEnded | None) -> TrialEnded | None:
    """Return the end that Optuna knows of; None if the journal has the same."""
    state: State = next(name for name, one in STATES.items() if one == trial.state)
    values = tuple(trial.values or ())
    label = str(trial.user_attrs.get(STATE, ""))
    reason = label.partition(": ")[2] or "unknown" if state == "failed" else None
    if (
        told is not None
        and (told.state, told.reason) == (state, reason)
        and (not values or told.values == values)
    ):
        return None
    known = {} if told is None else {"metrics": told.metrics, "error": told.error}
    return TrialEnded(trial=trial.number, state=state, values=values, reason=reason, **known)  # type: ignore[arg-type]


def _clear(examined: Examined, store_paths: StorePaths) -> None:
    """Restore deleted runs where there would be none, put runs below their study's, set aside those
    that are wrong.
    """
    client = open_client(store_paths.tracking_uri)
    for one in examined.differences:
        if one.deleted is not None:
            client.restore_run(one.deleted)
        if one.astray is not None:
            run_id, parent = one.astray
            client.set_tag(run_id, PARENT_TAG, parent)
    for run_id in {one.run_id for one in examined.differences if one.run_id is not None}:
        client.set_tag(run_id, _QUARANTINED_FROM_TAG, str(examined.study_id))
        client.set_tag(run_id, STUDY_ID_TAG, f"{examined.study_id} (set aside)")
        client.delete_run(run_id)
