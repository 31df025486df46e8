"""Reading one study from all stores, and comparing them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.experiments.maintenance.compare import (
    Difference,
    ParentFacts,
    RunFacts,
    compare_parent_run,
    compare_with_journal,
    compare_with_runs,
    missing_run,
    read_parent_facts,
)
from assay.experiments.maintenance.finalists import examine_finalists
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.addresses import ArtifactGuard, find_relocation
from assay.experiments.tracking.home_id import check_is_recorded_here
from assay.experiments.tracking.lookup import (
    is_deleted,
    rank_parent_runs,
    rank_runs,
    read_metric,
    search_study_runs,
)
from assay.experiments.tracking.schema import (
    PARENT_TAG,
    REFUSED_TAG,
    TRIAL_TAG,
    encode_name,
    read_trial,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.events import StudyClosed, StudyOpened
from assay.search.history import StudyHistory, read_history
from assay.search.journal import last_event, read_events
from assay.search.storage.stored_values import STUDY_ID, SUPERVISOR
from assay.search.system.urls import is_shared_database, store_exists

if TYPE_CHECKING:
    import optuna
    from mlflow import MlflowClient
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Examination:
    """What was found about a study.

    Attributes:
        study_id: its id; None if neither Optuna nor a journal knows the study.
        trials: number of its trials that have ended.
        differences: what differs between the stores.
    """

    study_id: str | None
    trials: int
    differences: Sequence[Difference]


@dataclass(frozen=True)
class _StudyRuns:
    """What MLflow has of a study.

    Attributes:
        parents: the study's own runs, the one that counts first.
        parent: of the one that counts; None if there is none, or it was deleted.
        trials: the trials' runs by trial number, the one that counts first.
        deleted: runs that a user deleted, by trial number; None for the study's own.
    """

    parents: Sequence[RunFacts] = ()
    parent: ParentFacts | None = None
    trials: Mapping[int, Sequence[RunFacts]] = field(default_factory=dict)
    deleted: Mapping[int | None, Sequence[str]] = field(default_factory=dict)


def examine_study(study: str, store_paths: StorePaths) -> Examination:
    """Compare the stores on a study; nothing is written.

    Raises:
        OtherHome: another home records its runs.
        RequestError: a store can't be reached.
    """
    optuna_study = _load_study(study, store_paths)
    study_id = _find_study_id(study, optuna_study, store_paths)
    if study_id is not None:
        check_is_recorded_here(store_paths, study, study_id)
    history = read_history(store_paths.workspace.journals(study), study_id)
    all_trials = (
        []
        if optuna_study is None
        else [
            trial
            for trial in optuna_study.get_trials(deepcopy=False)
            if trial.state.name != "WAITING"
        ]
    )
    # In a shared study the trials of another home's supervisors are in that home's journals, and
    # may be running now: only that home can tell.
    home_supervisors = (None, *history.supervisors)
    trials = [trial for trial in all_trials if trial.user_attrs.get(SUPERVISOR) in home_supervisors]
    runs_elsewhere = any(
        trial.state.name == "RUNNING" and trial.user_attrs.get(SUPERVISOR) not in home_supervisors
        for trial in all_trials
    )
    runs = _read_runs(study, study_id, history, store_paths)
    differences = [
        *_compare_study(study, trials, history, runs, store_paths, runs_elsewhere),
        *(found for trial in trials for found in _compare_trial(study, trial, history, runs)),
        *_find_unknown_trials(study, all_trials, history, runs),
        *_find_misparented_runs(study, runs),
        *examine_finalists(study, study_id, store_paths),
    ]
    ended = sum(trial.state.is_finished() for trial in trials)
    return Examination(study_id, ended, differences)


def _load_study(study: str, store_paths: StorePaths) -> optuna.Study | None:
    """Return the study in Optuna; None if there is none.

    Raises:
        RequestError: the storage can't be reached.
    """
    try:
        return load_optuna_study(study, store_paths)
    except RequestError:
        # Either there is no such study, or the storage can't be reached: opening it tells.
        if store_exists(store_paths.storage):
            from assay.search.storage.opening import open_storage  # here, because it imports Optuna

            open_storage(store_paths.storage)
        return None


def _find_study_id(
    study: str, optuna_study: optuna.Study | None, store_paths: StorePaths
) -> str | None:
    if optuna_study is not None:
        return optuna_study.user_attrs.get(STUDY_ID)
    # Of a study that Optuna lost, the journals have the id.
    opened = [
        event.study_id
        for journal in store_paths.workspace.journals(study)
        for event, _ in read_events(journal, only=[StudyOpened])
        if isinstance(event, StudyOpened)
    ]
    return opened[-1] if opened else None


def _compare_study(
    study: str,
    trials: Sequence[FrozenTrial],
    history: StudyHistory,
    runs: _StudyRuns,
    store_paths: StorePaths,
    runs_elsewhere: bool,
) -> Iterator[Difference]:
    """Yield the differences that concern the whole study."""
    if history.opened is None:
        if trials:
            message = f"{len(trials)} trials in Optuna, no journal in this home"
            yield Difference(study, None, message)
        return
    workspace = store_paths.workspace
    journals = [journal for journal in workspace.journals(study) if journal.exists()]
    if not all(isinstance(last_event(journal), StudyClosed) for journal in journals):
        message = "not closed in the journal: its supervisor died"
        yield Difference(study, None, message)
    if not runs.parents:
        yield missing_run(study, None, "", runs.deleted.get(None, ()))
    for duplicate in runs.parents[1:]:
        message = f"{len(runs.parents)} runs in MLflow, {duplicate.run_id} among them"
        yield Difference(study, None, message, wrong_run=duplicate.run_id)
    if runs.parents and runs.parents[0].status == "RUNNING" and not runs_elsewhere:
        yield Difference(study, None, "RUNNING in MLflow, but no process runs it")
    # A shared study may have been closed by another home, whose journal is not here.
    elif runs.parent is not None and not is_shared_database(store_paths.storage):
        closed = last_event(workspace.journal(study))
        if isinstance(closed, StudyClosed):
            yield from compare_parent_run(study, closed, runs.parent)


def _compare_trial(
    study: str, trial: FrozenTrial, history: StudyHistory, runs: _StudyRuns
) -> Iterator[Difference]:
    if not trial.state.is_finished():
        message = f"{trial.state.name} in Optuna, but no process runs it"
        yield Difference(study, trial.number, message)
        return
    recorded = history.trials.get(trial.number)
    yield from compare_with_journal(study, trial, recorded)
    trial_runs = runs.trials.get(trial.number, ())
    deleted_runs = runs.deleted.get(trial.number, ())
    yield from compare_with_runs(study, trial, recorded, trial_runs, deleted_runs)


def _find_unknown_trials(
    study: str, trials: Sequence[FrozenTrial], history: StudyHistory, runs: _StudyRuns
) -> Iterator[Difference]:
    """Yield the trials that Optuna does not have."""
    numbers = {trial.number for trial in trials}
    for number in sorted({*history.trials, *runs.trials} - numbers):
        stores = [
            name
            for name, known in (("the journal", history.trials), ("MLflow", runs.trials))
            if number in known
        ]
        yield Difference(study, number, f"in {' and '.join(stores)}, not in Optuna")


def _find_misparented_runs(study: str, runs: _StudyRuns) -> Iterator[Difference]:
    """Yield the runs that MLflow shows below a wrong parent."""
    for parent in runs.parents[:1]:
        for number, (run, *_) in sorted(runs.trials.items()):
            if run.parent != parent.run_id:
                message = (
                    f"below {run.parent or 'no run'} in MLflow, the study's run is {parent.run_id}"
                )
                move = (run.run_id, parent.run_id)
                yield Difference(study, number, message, misparented_run=move)


def _read_runs(
    study: str, study_id: str | None, history: StudyHistory, store_paths: StorePaths
) -> _StudyRuns:
    """Return what MLflow has of a study."""
    if study_id is None or not store_exists(store_paths.tracking_uri):
        return _StudyRuns()
    client = open_client(store_paths.tracking_uri)
    parents: list[RunFacts] = []
    trials: dict[int, list[RunFacts]] = defaultdict(list)
    deleted: dict[int | None, list[str]] = defaultdict(list)
    ranked = rank_runs(search_study_runs(client, study, study_id))
    ranked_parents = rank_parent_runs(ranked)
    trial_runs = [run for run in ranked if TRIAL_TAG in run.data.tags]
    # In the order of their ranks, so that the first one of each list is the one that counts.
    for run in [*ranked_parents, *trial_runs]:
        tags = run.data.tags
        number = read_trial(tags)
        if is_deleted(run):
            deleted[number].append(str(run.info.run_id))
            continue
        curves = (
            {} if number is None else _read_curves(client, str(run.info.run_id), number, history)
        )
        facts = RunFacts(
            run_id=str(run.info.run_id),
            status=str(run.info.status),
            state=tags.get("assay.state"),
            params=dict(run.data.params),
            metrics=dict(run.data.metrics),
            curves=curves,
            parent=tags.get(PARENT_TAG),
            refused=tags.get(REFUSED_TAG, ""),
        )
        (parents if number is None else trials[number]).append(facts)
    parent = None
    if ranked_parents and not is_deleted(ranked_parents[0]):
        relocation = (
            find_relocation(store_paths.workspace) if store_paths.has_own_tracking else None
        )
        guard = ArtifactGuard.of(store_paths)
        parent = read_parent_facts(client, guard, relocation, ranked_parents[0])
    return _StudyRuns(parents, parent, trials, deleted)


def _read_curves(
    client: MlflowClient, run_id: str, number: int, history: StudyHistory
) -> dict[str, dict[int, float]]:
    """Return MLflow's curves of the journal's metrics."""
    recorded = history.trials.get(number)
    epochs = [] if recorded is None else recorded.epochs
    names = dict.fromkeys(name for epoch in epochs for name in epoch.metrics)
    return {name: read_metric(client, run_id, encode_name(name)) for name in names}
