"""Finding and deleting the runs of a study in MLflow."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from assay.experiments.formatting import format_metric
from assay.experiments.terminal_text import escape_line
from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.pages import view_tag
from assay.experiments.tracking.schema import (
    BEST_TAG,
    FINALIST_TAG,
    HOME_TAG,
    MODEL_FOLDER,
    MODEL_TAG,
    OBJECTIVE_TAG,
    PARENT_TAG,
    REGISTERED_TAG,
    STATE_TAG,
    STUDY_ID_TAG,
    STUDY_TAG,
    TRAINING_TAG,
    TRIAL_TAG,
    VERDICTS_TAG,
    RegisteredVersion,
    encode_name,
    encode_text,
    is_child,
    read_home_ids,
    read_missing_model,
    read_number,
    read_registration,
    read_trial,
    registered_tag,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.errors import DamagedFile, RequestError
from assay.search.events import STUDY_ID_PATTERN
from assay.search.objective import Objectives
from assay.search.system.urls import is_server, mask_secrets, store_exists

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.store.entities import PagedList

_PAGE_RUNS = 1000
_PAGE_EXPERIMENTS = 1000
_MOST_PAGES = 10_000
_LAST_MILLISECONDS = 2 * 10**14
_RUN_ID = re.compile(r"[0-9a-f]{32}")


# A store may hold several runs of one trial, or of the study itself: duplicates, deleted ones. The
# recorder, readers and doctor must agree on the one that counts, so all of them rank runs here.


def is_deleted(run: Run) -> bool:
    """Return whether a user deleted a run."""
    return bool(run.info.lifecycle_stage == "deleted")


def rank_runs(runs: Iterable[Run]) -> Sequence[Run]:
    """Return the runs of one trial, the one that counts first.

    That is: not deleted, then the oldest.
    """
    return sorted(runs, key=lambda run: (is_deleted(run), *_age_key(run)))


def rank_parent_runs(runs: Iterable[Run]) -> Sequence[Run]:
    """Return the parent runs of a study, the one that counts first.

    That is: not deleted, then the parent of most runs, then the oldest.
    """
    all_runs = list(runs)
    children = Counter(run.data.tags.get(PARENT_TAG) for run in all_runs if is_child(run.data.tags))
    parents = [run for run in all_runs if not is_child(run.data.tags)]
    return sorted(
        parents, key=lambda run: (is_deleted(run), -children[run.info.run_id], *_age_key(run))
    )


def _age_key(run: Run) -> tuple[int, str]:
    # Duplicates have the same start time, that of the event: then the id decides, so that every
    # process decides alike.
    start = run.info.start_time
    return start if isinstance(start, int) else 0, str(run.info.run_id)


@dataclass(frozen=True)
class StudyRunIds:
    """Ids of the runs of a study.

    Attributes:
        parent: the study's own run; None if there is none.
        experiment: name of its MLflow experiment; None if there is no parent run.
        trials: the trials' runs, by trial number.
        trainings: the runs of the trainings of finalize, by their number.
        registered: the model version that the last finalize registered, or why it registered none;
            None if it was not asked to.
    """

    parent: str | None = None
    experiment: str | None = None
    trials: Mapping[int, str] = field(default_factory=dict)
    trainings: Mapping[int, str] = field(default_factory=dict)
    registered: RegisteredVersion | str | None = None


@dataclass(frozen=True)
class StoredModel:
    """What the store has of a best trial's model.

    Attributes:
        address: of the model, such as "runs:/ID/model"; None if the store does not have it.
        missing: why the store does not have it; None if it does.
    """

    address: str | None = None
    missing: str | None = "a sweep logs it at its end"


def read_model(client: MlflowClient, guard: ArtifactGuard, run: Run, trial: int) -> StoredModel:
    """Return what a run has of a trial's model.

    Args:
        client: of the store.
        guard: which addresses of artifacts may be read.
        run: the study's own run; of a study with several objectives, or a single run, the trial's.
        trial: number of the trial.
    """
    run_id, tag = str(run.info.run_id), run.data.tags.get(MODEL_TAG)
    stored = StoredModel(f"runs:/{run_id}/{MODEL_FOLDER}", None)
    if tag == str(trial):
        return stored
    if tag is not None:
        # A model of another trial is of an earlier end of the study.
        missing = read_missing_model(tag, trial)
        return StoredModel() if missing is None else StoredModel(None, missing)
    # Runs of earlier releases have no such tag.
    best = run.data.tags.get(BEST_TAG)
    if best in (None, str(trial)) and has_model_files(client, guard, run):
        return stored
    return StoredModel(None, "it was not kept") if best == str(trial) else StoredModel()


def has_model_files(client: MlflowClient, guard: ArtifactGuard, run: Run) -> bool:
    """Return whether a run has the files of a model at an address that may be read."""
    is_refused = guard.refusal_reason(str(run.info.artifact_uri)) is not None
    return not is_refused and any(client.list_artifacts(run.info.run_id, MODEL_FOLDER))


def find_model_runs(store_paths: StorePaths, run_ids: Iterable[str]) -> list[str]:
    """Return which of some runs have the files of a model.

    Raises:
        RequestError: the store can't be reached.
    """
    client, guard = open_client(store_paths.tracking_uri), ArtifactGuard.for_reading(store_paths)
    return [run_id for run_id in run_ids if has_model_files(client, guard, client.get_run(run_id))]


def find_models(
    store_paths: StorePaths, runs: StudyRunIds, trials: Iterable[int], on_parent: bool
) -> dict[int, StoredModel]:
    """Return what the store has of the models of best trials, by number.

    Args:
        store_paths: where the store is.
        runs: the study's.
        trials: numbers of the trials.
        on_parent: whether the study's own run is to have the model, as with one objective.

    Raises:
        RequestError: the store can't be reached.
    """
    run_ids = {trial: runs.parent if on_parent else runs.trials.get(trial) for trial in trials}
    known = {trial: run_id for trial, run_id in run_ids.items() if run_id is not None}
    if not known:
        return {trial: StoredModel() for trial in run_ids}
    client, guard = open_client(store_paths.tracking_uri), ArtifactGuard.of(store_paths)
    return {
        trial: read_model(client, guard, client.get_run(known[trial]), trial)
        if trial in known
        else StoredModel()
        for trial in run_ids
    }


def find_study_runs(store_paths: StorePaths, study_id: str) -> StudyRunIds:
    """Return the runs of a study that are not deleted.

    A store that does not exist has none, and is not created.

    Raises:
        RequestError: the store can't be reached.
    """
    if not store_exists(store_paths.tracking_uri):
        return StudyRunIds()
    client = open_client(store_paths.tracking_uri)
    experiment_names = {
        experiment.experiment_id: str(experiment.name) for experiment in search_experiments(client)
    }
    runs = rank_runs(search_runs(client, _id_filter(study_id)))
    trials: dict[int, str] = {}
    trainings: dict[int, str] = {}
    for run in runs:
        for numbers, tag in ((trials, TRIAL_TAG), (trainings, TRAINING_TAG)):
            if (number := read_number(run.data.tags, tag)) is not None:
                numbers.setdefault(number, str(run.info.run_id))
    parents = rank_parent_runs(runs)
    if not parents:
        return StudyRunIds(trials=trials, trainings=trainings)
    parent = parents[0].info
    name = experiment_names.get(parent.experiment_id)
    text = _registration_of_last_finalize(parents[0].data.tags)
    registered = None if text is None else read_registration(text)
    return StudyRunIds(str(parent.run_id), name, trials, trainings, registered)


def _registration_of_last_finalize(tags: Mapping[str, str]) -> str | None:
    """Return what the last finalize registered, as its tag; None if it was not asked to."""
    prefix = f"{VERDICTS_TAG}."
    numbers = (name.removeprefix(prefix) for name in tags if name.startswith(prefix))
    openings = [int(number) for number in numbers if number.isdecimal()]
    # `assay.registered` stays that of an earlier finalize that was asked to.
    return tags.get(registered_tag(max(openings)) if openings else REGISTERED_TAG)


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        run_id: its id.
        experiment: name of its MLflow experiment.
        status: MLflow's status, such as "FINISHED".
        study: name of its study; None for a single run.
        trial: number of its trial; None for a single run and for a study's own run.
        params: its parameters as text.
        tags: its tags.
        model: address of its model, on a study with one objective that of the study's run; None if
            it has none.
        final_metrics: metrics that were measured once, at the end.
        epoch_metrics: values of the other metrics, by epoch.
    """

    run_id: str
    experiment: str
    status: str
    study: str | None
    trial: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    model: str | None
    final_metrics: Mapping[str, float]
    epoch_metrics: Mapping[str, Sequence[float]]

    @property
    def is_study(self) -> bool:
        """Whether it is a study's own run, which stands for the study."""
        return self.study is not None and self.trial is None and FINALIST_TAG not in self.tags


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


def load_run(store_paths: StorePaths, run_id: str) -> RunRecord:
    """Return a run.

    Raises:
        RequestError: there is no such run, it was deleted, or the store can't be reached.
    """
    run = find_run(store_paths, run_id)
    if run is None:
        raise RequestError(
            f"there is no run {run_id} in {mask_secrets(store_paths.tracking_uri)}: check the id, "
            "or name another --tracking-uri."
        )
    return run


def find_run(store_paths: StorePaths, run_id: str) -> RunRecord | None:
    """Return a run; None if there is none, or it was deleted.

    A store that does not exist has none, and is not created.

    Raises:
        RequestError: the store can't be reached.
    """
    if not store_exists(store_paths.tracking_uri):
        return None
    client = open_client(store_paths.tracking_uri)
    run = get_run(client, run_id)
    if run is None or is_deleted(run):
        return None
    tags = run.data.tags
    final_metrics, epoch_metrics = _read_metrics(client, run)
    return RunRecord(
        run_id=run_id,
        experiment=_experiment_name(client, str(run.info.experiment_id)),
        status=str(run.info.status),
        study=tags.get(STUDY_TAG),
        trial=read_trial(tags),
        params=dict(run.data.params),
        tags=dict(tags),
        model=_find_model(client, ArtifactGuard.of(store_paths), run),
        final_metrics=final_metrics,
        epoch_metrics=epoch_metrics,
    )


def get_run(client: MlflowClient, run_id: str) -> Run | None:
    """Return a run, deleted or not; None if there is none of this id, or it is no id at all.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached.
    """
    from mlflow.exceptions import MlflowException  # here, because importing MLflow takes seconds

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _experiment_name(client: MlflowClient, experiment_id: str) -> str:
    """Return the name of an experiment; its id, if the store has lost it."""
    from mlflow.exceptions import MlflowException  # here for the same reason

    try:
        return str(client.get_experiment(experiment_id).name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return f"unknown, with the id {experiment_id}"
        raise


def _find_model(client: MlflowClient, guard: ArtifactGuard, run: Run) -> str | None:
    """Return the address of a trial's model, on its own run or its parent run."""
    tags = run.data.tags
    # The model of a re-training is that of the trial whose configuration it trained.
    number = read_trial(tags) or read_number(tags, FINALIST_TAG) or 0
    # With several objectives, and of a single run, the trial's own run has it.
    if MODEL_TAG in tags or STUDY_TAG not in tags:
        return read_model(client, guard, run, number).address
    if TRIAL_TAG not in tags or PARENT_TAG not in tags:
        return None
    parent = get_run(client, tags[PARENT_TAG])
    if parent is None or parent.data.tags.get(BEST_TAG) != str(number):
        return None
    return read_model(client, guard, parent, number).address


def _read_metrics(
    client: MlflowClient, run: Run
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return a run's final metrics, and its metrics by epoch."""
    final_metrics: dict[str, float] = {}
    epoch_metrics: dict[str, list[float]] = {}
    for name, last_value in run.data.metrics.items():
        by_epoch = read_metric(client, run.info.run_id, name)
        # The recorder writes final metrics at step 0; epochs count from 1.
        if any(by_epoch):
            epoch_metrics[name] = [by_epoch[epoch] for epoch in sorted(by_epoch) if epoch > 0]
        else:
            final_metrics[name] = last_value
    return final_metrics, epoch_metrics


def read_metric(client: MlflowClient, run_id: str, metric: str) -> dict[int, float]:
    """Return a metric's values by epoch; epoch 0 is for final metrics."""
    points = client.get_metric_history(run_id, metric)
    # An epoch that was trained again after a crash has two points: the later one counts.
    return {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}


def find_best_runs(store_paths: StorePaths, study: str, limit: int) -> Sequence[Run]:
    """Return the runs of a study's best trials, the best first.

    Complete trials come before pruned ones. With several objectives the first one ranks.

    Args:
        store_paths: where the store is.
        study: name of the study; of several studies of this name the newest counts.
        limit: number of runs at most.

    Raises:
        RequestError: the store can't be reached.
    """
    if not store_exists(store_paths.tracking_uri):
        return []
    client = open_client(store_paths.tracking_uri)
    experiments = [experiment.experiment_id for experiment in search_experiments(client)]
    if not experiments:
        return []
    named = client.search_runs(
        experiments, f"{_study_filter(study)} AND tags.`{OBJECTIVE_TAG}` LIKE '%'"
    )
    # MLflow returns the newest run first.
    parent = next(
        (
            run
            for run in named
            if run.data.tags[STUDY_TAG] == study and STUDY_ID_TAG in run.data.tags
        ),
        None,
    )
    if parent is None:
        return []
    objectives = Objectives.read(parent.data.tags[OBJECTIVE_TAG].split(", "))
    first = objectives.each[0]
    metric = "value" if objectives.single is not None else encode_name(first.metric)
    order = "DESC" if first.direction == "maximize" else "ASC"
    study_id = parent.data.tags[STUDY_ID_TAG]
    trials = f"{_id_filter(study_id)} AND tags.`{TRIAL_TAG}` LIKE '%'"
    runs: list[Run] = []
    # A pruned trial's value is of fewer epochs, so it does not compare with that of a complete one:
    # pruned trials only fill the rest.
    for state in ("complete", "pruned"):
        runs += client.search_runs(
            experiments,
            f"{trials} AND tags.`assay.state` = '{state}'",
            order_by=[f"metrics.`{metric}` {order}"],
            max_results=limit,
        )
    return runs[:limit]


def read_experiment_tags(store_paths: StorePaths, experiment_id: str) -> Mapping[str, str]:
    """Return the tags of an MLflow experiment.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    return dict(client.get_experiment(experiment_id).tags)


@dataclass(frozen=True)
class SingleRun:
    """A single run in one line. The attributes are the keys of `--json`.

    Attributes:
        run_id: its id in MLflow.
        name: its name.
        experiment: name of its experiment.
        state: "complete", "failed: REASON", or "running".
        objective: what its experiment optimizes, such as "maximize val_accuracy".
        value: value of the objective; None if it has none, or there are several.
        metrics: the last value of each metric by name.
        started: when it began, such as "2026-11-27T14:02:11+00:00".
    """

    run_id: str
    name: str
    experiment: str
    state: str
    objective: str
    value: float | None
    metrics: Mapping[str, float]
    started: str

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        metric = self.objective.partition(" ")[2]
        value = "" if self.value is None else f"; {metric} {format_metric(self.value)}"
        local = datetime.datetime.fromisoformat(self.started).astimezone()
        return escape_line(f"{self.name}; {self.state}{value}; {local:%Y-%m-%d %H:%M}")


def list_single_runs(store_paths: StorePaths) -> list[SingleRun]:
    """Return the single runs in the store that are not deleted, the newest first.

    The store knows those of all homes that write to it. One that does not exist has none, and is
    not created.

    Raises:
        RequestError: the store can't be reached.
    """
    if not store_exists(store_paths.tracking_uri):
        return []
    client = open_client(store_paths.tracking_uri)
    names = {one.experiment_id: str(one.name) for one in search_experiments(client)}
    # Only single runs and the studies' own runs have the objectives.
    runs = search_runs(client, f"tags.`{OBJECTIVE_TAG}` LIKE '%'")
    single = (run for run in runs if STUDY_TAG not in run.data.tags)
    listed = [_summarize_run(run, names) for run in single if STUDY_ID_TAG in run.data.tags]
    return sorted(listed, key=lambda run: run.started, reverse=True)


def _summarize_run(run: Run, experiments: Mapping[str, str]) -> SingleRun:
    tags, start = run.data.tags, run.info.start_time
    # A store that others write may have any time; Python has none after the year 9999.
    seconds = min(max(start, 0), _LAST_MILLISECONDS) / 1000 if isinstance(start, int) else 0.0
    return SingleRun(
        run_id=str(run.info.run_id),
        name=str(run.info.run_name),
        experiment=experiments.get(run.info.experiment_id, str(run.info.experiment_id)),
        state=tags.get(STATE_TAG, "running"),
        objective=tags[OBJECTIVE_TAG],
        value=run.data.metrics.get("value"),
        metrics=dict(run.data.metrics),
        started=datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(),
    )


def list_tracked_studies(store_paths: StorePaths) -> list[str]:
    """Return the names of all studies in the store.

    Raises:
        RequestError: the store can't be reached.
    """
    if not store_exists(store_paths.tracking_uri):
        return []
    # Only parent runs have the objectives.
    runs = search_runs(open_client(store_paths.tracking_uri), f"tags.`{OBJECTIVE_TAG}` LIKE '%'")
    return sorted({run.data.tags[STUDY_TAG] for run in runs if STUDY_TAG in run.data.tags})


def _id_filter(study_id: object) -> str:
    """Return a filter for a study's id.

    Raises:
        DamagedFile: it is no id of a study.
    """
    # It may come from a store that others write; a quote in it would be one of the filter's.
    if not isinstance(study_id, str) or re.fullmatch(STUDY_ID_PATTERN, study_id) is None:
        raise DamagedFile(
            f"a study's id must be letters, digits, . _ or -, at most 100: received "
            f"{study_id!r:.40}; delete the runs that have it in MLflow."
        )
    return f"tags.`{STUDY_ID_TAG}` = '{study_id}'"


def _study_filter(study: str) -> str:
    """Return a filter for a study's name, which may match others."""
    # MLflow's filter language cannot write a single quote inside a text. `_` matches any
    # character, so the caller compares the tag of each run that is returned.
    if "'" not in study:
        return f"tags.`{STUDY_TAG}` = '{study}'"
    pattern = study.replace("'", "_")
    return f"tags.`{STUDY_TAG}` LIKE '{pattern}'"


def search_experiments(client: MlflowClient) -> Iterator[Experiment]:
    """Yield the experiments of a store that are not deleted, page by page."""
    yield from _read_pages(
        lambda token: client.search_experiments(max_results=_PAGE_EXPERIMENTS, page_token=token)
    )


def search_runs(client: MlflowClient, filter_string: str, view: int | None = None) -> Iterator[Run]:
    """Yield the runs that match a filter, page by page.

    Args:
        client: of the store.
        filter_string: in MLflow's filter language.
        view: of `mlflow.entities.ViewType`; None: runs that are not deleted.
    """
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    view = ViewType.ACTIVE_ONLY if view is None else view
    experiments = [experiment.experiment_id for experiment in search_experiments(client)]
    yield from _read_pages(
        lambda token: client.search_runs(
            experiments, filter_string, view, max_results=_PAGE_RUNS, page_token=token
        )
    )


def _read_pages(read: Callable[[str | None], PagedList[Any]]) -> Iterator[Any]:
    """Yield the entries of all pages.

    Args:
        read: returns the page of a token; of None, the first one.

    Raises:
        RequestError: the pages go on without end.
    """
    tokens: set[str | None] = set()
    token = None
    while token not in tokens and len(tokens) < _MOST_PAGES:
        tokens.add(token)
        page = read(token)
        yield from page
        if not page.token:
            return
        token = page.token
    raise RequestError(
        "a tracking server must give each page of an answer once: received the same page again, or "
        f"more than {_MOST_PAGES:,}; check --tracking-uri."
    )


# Deleting a study's runs.


def find_run_ids(store_paths: StorePaths, study: str, study_ids: Collection[str]) -> list[str]:
    """Return the runs of studies of a name, parent runs last.

    Args:
        store_paths: where the store is.
        study: name of the studies.
        study_ids: their ids.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    return _ids_parents_last(
        run
        for study_id in study_ids
        for run in search_study_runs(client, study, study_id)
        if not is_deleted(run)
    )


def search_study_runs(client: MlflowClient, study: str, study_id: str) -> list[Run]:
    """Return the runs that have a study's name and its id, deleted ones too.

    The id alone is no proof, because others may have written the journal that it comes from.

    Args:
        client: of the store.
        study: name of the study.
        study_id: its id.
    """
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    named = encode_text(study)
    runs = search_runs(client, _id_filter(study_id), ViewType.ALL)
    return [run for run in runs if run.data.tags.get(STUDY_TAG) == named]


def find_home_ids(store_paths: StorePaths, study: str, study_id: str) -> set[str]:
    """Return the ids of the homes that record a study; none for studies of earlier releases.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    named = encode_text(study)
    runs = search_runs(client, f"{_id_filter(study_id)} AND tags.`{HOME_TAG}` LIKE '%'")
    parents = (run.data.tags for run in runs if run.data.tags.get(STUDY_TAG) == named)
    return {home for tags in parents for home in read_home_ids(tags)}


def find_run_ids_by_name(store_paths: StorePaths, study: str) -> list[str]:
    """Return the runs of all studies of a name, parent runs last.

    Raises:
        RequestError: the store can't be reached.
    """
    runs = search_runs(open_client(store_paths.tracking_uri), f"tags.`{STUDY_TAG}` LIKE '%'")
    named = encode_text(study)
    return _ids_parents_last(run for run in runs if run.data.tags[STUDY_TAG] == named)


def has_study_runs(store_paths: StorePaths, study: str, study_ids: Collection[str]) -> bool:
    """Return whether the store has runs of studies, or had some.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    return any(search_study_runs(client, study, study_id) for study_id in study_ids)


def delete_runs(store_paths: StorePaths, run_ids: Iterable[str]) -> None:
    """Delete runs, which MLflow can restore until `mlflow gc`.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    for run_id in run_ids:
        # Before the run, which names it: after an interruption the next call deletes the rest.
        _delete_view(client, run_id)
        client.delete_run(run_id)


def _delete_view(client: MlflowClient, run_id: str) -> None:
    """Delete the saved view of the study whose own run this is, if there is one."""
    run = client.get_run(run_id)
    if is_child(run.data.tags) or STUDY_ID_TAG not in run.data.tags:
        return
    experiment_id, tag = run.info.experiment_id, view_tag(run.data.tags[STUDY_ID_TAG])
    if tag in client.get_experiment(experiment_id).tags:
        client.delete_experiment_tag(experiment_id, tag)


def format_gc_command(store_paths: StorePaths) -> str:
    """Return the command that frees the disk space of deleted runs."""
    if is_server(store_paths.tracking_uri):
        return "mlflow gc (on the machine of the MLflow server)"
    return f"mlflow gc --backend-store-uri {mask_secrets(store_paths.tracking_uri)}"


def _ids_parents_last(runs: Iterable[Run]) -> list[str]:
    # Parent runs last: after an interruption, the UI still shows the rest below them.
    ordered = sorted(runs, key=lambda run: not is_child(run.data.tags))
    return [str(run.info.run_id) for run in ordered]
