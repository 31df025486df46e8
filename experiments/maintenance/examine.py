"""One study, as each of the places has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.experiments.maintenance.compare import (
    Difference,
    ParentFacts,
    RunFacts,
    journal_differences,
    no_run,
    parent_differences,
    parent_facts,
    run_differences,
)
from assay.experiments.results.history import History, read_history
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.lookup import (
    curve_of,
    is_deleted,
    ranked,
    ranked_parents,
    search_runs,
)
from assay.experiments.tracking.schema import (
    PARENT_TAG,
    REFUSED_TAG,
    STUDY_ID_TAG,
    TRIAL_TAG,
    name_text,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.events import StudyClosed, StudyOpened
from assay.search.journal import last, read
from assay.search.storage.postgresql import SUPERVISOR
from assay.search.study_record import STUDY_ID
from assay.search.system.urls import database_is_shared, is_there

if TYPE_CHECKING:
    import optuna
    from mlflow import MlflowClient
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Examined:
    """A study, and what does not agree on it."""

    study_id: str | None
    trials: int
    differences: Sequence[Difference]


@dataclass(frozen=True)
class _Runs:
    """What counts comes first; `deleted` are runs that somebody deleted, by their trials."""

    parents: Sequence[RunFacts] = ()
    parent: ParentFacts | None = None
    trials: Mapping[int, Sequence[RunFacts]] = field(default_factory=dict)
    deleted: Mapping[int | None, Sequence[str]] = field(default_factory=dict)


def examine(study: str, store_paths: StorePaths) -> Examined:
    """Return what of a study does not agree. Nothing is written.

    Raises:
        RequestError: a store can't be reached.
    """
    known = _find(study, store_paths)
    study_id = _study_id(study, known, store_paths)
    history = read_history(store_paths.workspace.journals(study), study_id)
    every = (
        []
        if known is None
        else [one for one in known.get_trials(deepcopy=False) if one.state.name != "WAITING"]
    )
    # What the supervisors of another home took, that one has the journals of, and may be at work on
    # now.
    trials = [
        one for one in every if one.user_attrs.get(SUPERVISOR) in (None, *history.supervisors)
    ]
    others_run = any(
        one.state.name == "RUNNING"
        and one.user_attrs.get(SUPERVISOR) not in (None, *history.supervisors)
        for one in every
    )
    runs = _runs(study_id, history, store_paths)
    differences = [
        *_of_study(study, trials, history, runs, store_paths, others_run),
        *(one for trial in trials for one in _of_trial(study, trial, history, runs)),
        *_unknown_to_optuna(study, every, history, runs),
        *_misparented(study, runs),
    ]
    over = sum(trial.state.is_finished() for trial in trials)
    return Examined(study_id, over, differences)


def _find(study: str, store_paths: StorePaths) -> optuna.Study | None:
    try:
        return load_optuna_study(study, store_paths)
    except RequestError:
        if is_there(store_paths.storage):
            from assay.search.storage.opening import open_storage  # here, because it imports Optuna

            open_storage(store_paths.storage)  # or it can't be reached, which is another matter
        return None


def _study_id(study: str, known: optuna.Study | None, store_paths: StorePaths) -> str | None:
    if known is not None:
        return known.user_attrs.get(STUDY_ID)

    opened = [
        event.study_id
        for journal in store_paths.workspace.journals(study)
        for event, _ in read(journal, only=[StudyOpened])
        if isinstance(event, StudyOpened)
    ]
    return opened[-1] if opened else None


def _of_study(
    study: str,
    trials: Sequence[FrozenTrial],
    history: History,
    runs: _Runs,
    store_paths: StorePaths,
    others_run: bool,
) -> Iterator[Difference]:
    if history.opened is None:
        if trials:
            yield Difference(
                study, None, f"{len(trials)} trials in Optuna, no journal in this home"
            )
        return
    if not all(
        isinstance(last(journal), StudyClosed)
        for journal in store_paths.workspace.journals(study)
        if journal.exists()
    ):
        yield Difference(
            study, None, "its supervisor died: the journal does not say that it was closed"
        )
    if not runs.parents:
        yield no_run(study, None, "", runs.deleted.get(None, ()))
    for parent in runs.parents[1:]:
        yield Difference(
            study,
            None,
            f"{len(runs.parents)} runs in MLflow, {parent.run_id} among them",
            parent.run_id,
        )
    if runs.parents and runs.parents[0].status == "RUNNING" and not others_run:
        yield Difference(study, None, "RUNNING in MLflow, and nobody runs it")
    elif runs.parent is not None and not database_is_shared(
        store_paths.storage
    ):  # else another may have closed it
        closed = last(store_paths.workspace.journal(study))
        if isinstance(closed, StudyClosed):
            yield from parent_differences(study, closed, runs.parent)


def _of_trial(
    study: str, trial: FrozenTrial, history: History, runs: _Runs
) -> Iterator[Difference]:
    if not trial.state.is_finished():
        yield Difference(study, trial.number, f"{trial.state.name} in Optuna, and nobody runs it")
        return
    known = history.trials.get(trial.number)
    yield from journal_differences(study, trial, known)
    of_trial, deleted = runs.trials.get(trial.number, ()), runs.deleted.get(trial.number, ())
    yield from run_differences(study, trial, known, of_trial, deleted)


def _unknown_to_optuna(
    study: str, trials: Sequence[FrozenTrial], history: History, runs: _Runs
) -> Iterator[Difference]:
    numbers = {trial.number for trial in trials}
    for number in sorted({*history.trials, *runs.trials} - numbers):
        where = [
            place
            for place, has in (("the journal", history.trials), ("MLflow", runs.trials))
            if number in has
        ]
        yield Difference(study, number, f"in {' and '.join(where)}, not in Optuna")


def _misparented(study: str, runs: _Runs) -> Iterator[Difference]:
    """Yield the runs of trials that MLflow shows below another run than the study's."""
    for parent in runs.parents[:1]:
        for number, (run, *_) in sorted(runs.trials.items()):
            if run.parent != parent.run_id:
                what = (
                    f"below {run.parent or 'no run'} in MLflow, the study's run is {parent.run_id}"
                )
                yield Difference(study, number, what, astray=(run.run_id, parent.run_id))


def _runs(study_id: str | None, history: History, store_paths: StorePaths) -> _Runs:
    if study_id is None or not is_there(store_paths.tracking_uri):
        return _Runs()
    client = open_client(store_paths.tracking_uri)
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    parents: list[RunFacts] = []
    trials: dict[int, list[RunFacts]] = defaultdict(list)
    deleted: dict[int | None, list[str]] = defaultdict(list)
    every = ranked(search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'", ViewType.ALL))
    own = ranked_parents(every)
    for run in [*own, *(run for run in every if TRIAL_TAG in run.data.tags)]:
        tags = run.data.tags
        number = int(tags[TRIAL_TAG]) if TRIAL_TAG in tags else None
        if is_deleted(run):
            deleted[number].append(str(run.info.run_id))
            continue
        curves = {} if number is None else _curves(client, str(run.info.run_id), number, history)
        facts = RunFacts(
            run_id=str(run.info.run_id),
            status=str(run.info.status),
            state=tags.get("assay.state"),
            params=dict(run.data.params),
            ends=dict(run.data.metrics),
            curve=curves,
            parent=tags.get(PARENT_TAG),
            refused=tags.get(REFUSED_TAG, ""),
        )
        (parents if number is None else trials[number]).append(facts)
    parent = parent_facts(client, own[0]) if own and not is_deleted(own[0]) else None
    return _Runs(parents, parent, trials, deleted)


def _curves(
    client: MlflowClient, run_id: str, number: int, history: History
) -> dict[str, dict[int, float]]:
    known = history.trials.get(number)
    names = dict.fromkeys(
        name for epoch in ([] if known is None else known.epochs) for name in epoch.metrics
    )
    return {name: curve_of(client, run_id, name_text(name)) for name in names}
