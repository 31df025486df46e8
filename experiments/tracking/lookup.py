"""Finding a study's runs in MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.experiments.tracking.schema import (
    OBJECTIVE_TAG,
    PARENT_TAG,
    STUDY_ID_TAG,
    STUDY_TAG,
    TRIAL_TAG,
    name_text,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.objective import Objectives
from assay.search.system.urls import is_there, masked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


# Of several runs of one trial, or of a study itself, the one that counts: for who writes, reads and
# mends alike.


def is_deleted(run: Run) -> bool:
    """Return whether somebody deleted a run."""
    return bool(run.info.lifecycle_stage == "deleted")


def ranked(runs: Iterable[Run]) -> Sequence[Run]:
    """Return runs of one trial, the one that counts first: one that is not deleted, then the
    oldest.
    """
    return sorted(runs, key=lambda run: (is_deleted(run), *_age(run)))


def ranked_parents(runs: Iterable[Run]) -> Sequence[Run]:
    """Return a study's own runs among all its runs, the one that counts first.

    That is one that is not deleted, then the one that most trials name, then the oldest.
    """
    every = list(runs)
    named = Counter(run.data.tags.get(PARENT_TAG) for run in every if TRIAL_TAG in run.data.tags)
    parents = [run for run in every if TRIAL_TAG not in run.data.tags]
    return sorted(parents, key=lambda run: (is_deleted(run), -named[run.info.run_id], *_age(run)))


def _age(run: Run) -> tuple[int, str]:
    # What was made twice, because an answer did not come, has one time: the id decides, for
    # everybody the same.
    return int(run.info.start_time or 0), str(run.info.run_id)


@dataclass(frozen=True)
class StudyRuns:
    """The runs of a study: its own, that of each trial by its number, and the MLflow experiment
    they are in.
    """

    parent: str | None = None
    experiment: str | None = None
    trials: Mapping[int, str] = field(default_factory=dict)


def runs_of_study(store_paths: StorePaths, study_id: str) -> StudyRuns:
    """Return the runs of the study of that id that are not deleted; a home without a store has none
    and gets none.

    Raises:
        RequestError: the store can't be reached.
    """
    if not is_there(store_paths.tracking_uri):
        return StudyRuns()
    client = open_client(store_paths.tracking_uri)
    names = {
        experiment.experiment_id: str(experiment.name) for experiment in client.search_experiments()
    }
    runs = ranked(search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'"))
    trials: dict[int, str] = {}
    for run in runs:
        if TRIAL_TAG in run.data.tags:
            trials.setdefault(int(run.data.tags[TRIAL_TAG]), str(run.info.run_id))
    parents = ranked_parents(runs)
    if not parents:
        return StudyRuns(trials=trials)
    parent = parents[0].info
    return StudyRuns(str(parent.run_id), names.get(parent.experiment_id), trials)


@dataclass(frozen=True)
class RunRecord:
    """One run: `ends` are the metrics that were measured once, as it ended, `curve` those of every
    epoch.
    """

    run_id: str
    experiment: str
    status: str
    study: str | None
    trial: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    ends: Mapping[str, float]
    curve: Mapping[str, Sequence[float]]


def find_run(store_paths: StorePaths, run_id: str) -> RunRecord | None:
    """Return a run; None if there is none of that id, or it was deleted. Reading makes no store.

    Raises:
        RequestError: the store can't be reached.
    """
    if not is_there(store_paths.tracking_uri):
        return None
    client = open_client(store_paths.tracking_uri)
    from mlflow.exceptions import MlflowException  # here, because importing MLflow takes seconds

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if run.info.lifecycle_stage == "deleted":
        return None
    tags = run.data.tags
    ends, curve = _measured(client, run)
    return RunRecord(
        run_id=run_id,
        experiment=str(client.get_experiment(run.info.experiment_id).name),
        status=str(run.info.status),
        study=tags.get(STUDY_TAG),
        trial=int(tags[TRIAL_TAG]) if TRIAL_TAG in tags else None,
        params=dict(run.data.params),
        tags=dict(tags),
        ends=ends,
        curve=curve,
    )


def best_runs(store_paths: StorePaths, study: str, most: int) -> Sequence[Run]:
    """Return the runs of a study's best trials, the best first; a home without a store has none and
    gets none.
    """
    if not is_there(store_paths.tracking_uri):
        return []
    client = open_client(store_paths.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    named = client.search_runs(experiments, f"{_named(study)} AND tags.`{OBJECTIVE_TAG}` LIKE '%'")
    parent = next(
        (run for run in named if run.data.tags[STUDY_TAG] == study), None
    )  # the newest comes first
    if parent is None:
        return []
    # With several objectives there is no one value: the first of them ranks the trials.
    goals = Objectives.read(parent.data.tags[OBJECTIVE_TAG].split(", "))
    metric = "value" if goals.single is not None else name_text(goals.each[0].metric)
    way = "DESC" if goals.each[0].direction == "maximize" else "ASC"
    of_study = f"tags.`{STUDY_ID_TAG}` = '{parent.data.tags[STUDY_ID_TAG]}' AND tags.`{TRIAL_TAG}` LIKE '%'"
    runs: list[Run] = []
    for state in (
        "complete",
        "pruned",
    ):  # a pruned trial's value is of fewer epochs: it only fills up the rest
        runs += client.search_runs(
            experiments,
            f"{of_study} AND tags.`assay.state` = '{state}'",
            order_by=[f"metrics.`{metric}` {way}"],
            max_results=most,
        )
    return runs[:most]


def study_names(store_paths: StorePaths) -> list[str]:
    """Return the names of all studies in the store."""
    if not is_there(store_paths.tracking_uri):
        return []
    client = open_client(store_paths.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`{STUDY_TAG}` LIKE '%'", max_results=1000)
    return sorted({run.data.tags[STUDY_TAG] for run in runs if PARENT_TAG not in run.data.tags})


def _named(study: str) -> str:
    """Return the filter for runs of studies of a name. It may let others through: compare the tag
    of what it finds.

    MLflow's filter language has no way to write a single quote inside a text, so there any
    character matches.
    """
    if "'" not in study:
        return f"tags.`{STUDY_TAG}` = '{study}'"
    pattern = study.replace("'", "_")
    return f"tags.`{STUDY_TAG}` LIKE '{pattern}'"


def _measured(client: MlflowClient, run: Run) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return a run's metrics: those of its end, which have step 0, and those of every epoch, which
    count from 1.
    """
    ends: dict[str, float] = {}
    curve: dict[str, list[float]] = {}
    for name, last in run.data.metrics.items():
        by_epoch = curve_of(client, run.info.run_id, name)
        if any(by_epoch):
            curve[name] = [by_epoch[epoch] for epoch in sorted(by_epoch) if epoch > 0]
        else:
            ends[name] = last
    return ends, curve


def curve_of(client: MlflowClient, run_id: str, metric: str) -> dict[int, float]:
    """Return a metric's value by epoch; of what was measured once, as the trial ended, by 0."""
    points = client.get_metric_history(run_id, metric)
    # An epoch that was trained again after a crash has two points: the later one counts.
    return {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}


def search_runs(client: MlflowClient, filter_string: str, view: int | None = None) -> Iterator[Run]:
    """Yield runs, page by page: unless another view is asked for, those that are not deleted
    yet.
    """
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    view = ViewType.ACTIVE_ONLY if view is None else view
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token = None
    while token is None or token:
        page = client.search_runs(
            experiments, filter_string, view, max_results=1000, page_token=token
        )
        yield from page
        token = page.token or ""


# Taking a study's runs out of MLflow.


def runs_of_ids(store_paths: StorePaths, ids: Collection[str]) -> list[str]:
    """Return the ids of the runs of the studies of these ids: those of trials, then those of the
    studies themselves.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    return _children_first(
        run
        for study_id in ids
        for run in search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'")
    )


def are_known(store_paths: StorePaths, ids: Collection[str]) -> bool:
    """Return whether the store has, or had until they were deleted, runs of studies of these ids.

    Raises:
        RequestError: the store can't be reached.
    """
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    client = open_client(store_paths.tracking_uri)
    return any(
        any(search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'", ViewType.ALL))
        for study_id in ids
    )


def runs_of_name(store_paths: StorePaths, study: str) -> list[str]:
    """Return the same of every study of a name.

    Raises:
        RequestError: the store can't be reached.
    """
    tagged = search_runs(open_client(store_paths.tracking_uri), f"tags.`{STUDY_TAG}` LIKE '%'")
    return _children_first(run for run in tagged if run.data.tags[STUDY_TAG] == study)


def remove(store_paths: StorePaths, runs: Iterable[str]) -> None:
    """Delete runs, as MLflow does it: they are hidden, and can be restored until `mlflow gc` frees
    their disk.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    for run_id in runs:
        client.delete_run(run_id)


def freeing(store_paths: StorePaths) -> str:
    """Return the command that frees what deleted runs take."""
    if store_paths.tracking_uri.startswith("http"):
        return "mlflow gc (on the machine of the MLflow server)"
    return f"mlflow gc --backend-store-uri {masked(store_paths.tracking_uri)}"


def _children_first(runs: Iterable[Run]) -> list[str]:
    ordered = sorted(runs, key=lambda run: TRIAL_TAG not in run.data.tags)
    return [str(run.info.run_id) for run in ordered]
