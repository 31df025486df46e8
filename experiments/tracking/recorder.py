"""Writes the events of a study to MLflow.

Recording an event twice leaves the same as recording it once, because the follower may repeat
events after a crash. A run is looked up by study id and trial before it is created, and a metric
point carries the time of its event: MLflow stores a point of the same step, time and value once.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.code import format_digests, format_packages, write_code_files
from assay.experiments.tracking.dataset import TEST, TRAINING, VALIDATION, dataset_input
from assay.experiments.tracking.lookup import (
    StoredModel,
    has_model_files,
    is_deleted,
    read_model,
)
from assay.experiments.tracking.model import describe_data, list_model_files, log_model
from assay.experiments.tracking.note import (
    FINALIZE,
    SEARCH,
    BestRun,
    NoteLinks,
    finalize_part,
    replace_part,
    search_part,
)
from assay.experiments.tracking.pages import make_view, view_tag
from assay.experiments.tracking.registry import (
    CHAMPION,
    ModelRegistry,
    NotRegistered,
    describe_use,
)
from assay.experiments.tracking.runs import RunIndex
from assay.experiments.tracking.schema import (
    BEST_TAG,
    CLOSING_STATUS,
    ERROR_TAG,
    EXPERIMENT_KIND_TAG,
    FINALIST_TAG,
    HOME_TAG,
    LEADER_TAG,
    MODEL_FOLDER,
    MODEL_HISTORY_TAG,
    MODEL_TAG,
    MODEL_TRAINING,
    NOTE_TAG,
    OBJECTIVE_TAG,
    OPENINGS_TAG,
    PARENT_TAG,
    PARETO_TAG,
    REFUSED_TAG,
    REGISTERED_TAG,
    SPLIT_SEED_TAG,
    STATE_TAG,
    STUDY_ID_TAG,
    STUDY_TAG,
    TRAINING_TAG,
    TRIAL_TAG,
    VERDICTS_TAG,
    RegisteredVersion,
    describe_cut,
    encode_missing_model,
    encode_name,
    encode_param,
    encode_registration,
    encode_run_name,
    encode_tag,
    encode_text,
    merge_session_tags,
    opening_tag,
    read_registration,
    registered_tag,
    run_status,
    verdicts_tag,
)
from assay.experiments.workspace import file_name
from assay.models.errors import RequestError
from assay.models.files import temporary_folder
from assay.search.events import (
    BestTrial,
    EpochEnded,
    Event,
    FinalistTested,
    FinalizeJudged,
    Registration,
    StudyClosed,
    StudyOpened,
    TestSetOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.objective import Objectives
from assay.search.system.urls import scrub_secrets

_MAX_BATCH_METRICS = 1000  # MLflow's limit
_MAX_CAUSE_CHARACTERS = 300
_REFUSED = "INVALID_PARAMETER_VALUE"
_ITEM_KINDS = {Metric: "metric", Param: "parameter", RunTag: "tag"}
# A slower call may have been repeated: by MLflow, where a user lets it retry, or by a proxy.
_SLOW_SECONDS = 5.0
_EXPERIMENT_FILES = ("experiment.toml", "resolved.toml", "data.json", "packages.txt", "code.txt")

# Of a Pareto front, so many configurations are in the note: each takes a call.
_MOST_NOTED = 20

_Item: TypeAlias = Metric | Param | RunTag


class RunWriter:
    """Writes to the runs of a store.

    Runs that a user deleted are left alone. What MLflow refuses is skipped, and what is too long is
    cut; both are noted in a tag of the run.

    Args:
        client: of the store.
        guard: which addresses of artifacts may be written to.

    Attributes:
        deleted: ids of runs that a user deleted.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. Any method may raise it.
    """

    def __init__(self, client: MlflowClient, guard: ArtifactGuard) -> None:
        self._client = client
        self._guard = guard
        self.deleted: set[str] = set()

    def is_deleted(self, run_id: str) -> bool:
        """Return whether a run is known to be deleted."""
        return run_id in self.deleted

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log to a run in as few calls as possible."""
        others: list[Param | RunTag] = [
            Param(encode_name(name), encode_param(value)) for name, value in (params or {}).items()
        ]
        others += to_run_tags(tags or {})
        self._log_items(run_id, [*metrics[:_MAX_BATCH_METRICS], *others])
        for start in range(_MAX_BATCH_METRICS, len(metrics), _MAX_BATCH_METRICS):
            self._log_items(run_id, metrics[start : start + _MAX_BATCH_METRICS])
        values = [*(params or {}).values(), *(tags or {}).values()]
        self.note_cuts(run_id, zip(others, values, strict=True))

    def note_cuts(self, run_id: str, items: Iterable[tuple[Param | RunTag, object]]) -> None:
        """Note on a run which of its values are stored in part.

        Args:
            run_id: the run.
            items: parameters and tags as they were logged, each with its value.
        """
        for item, value in items:
            if (cut := describe_cut(value, item.value)) is not None:
                self._note(run_id, f"{_ITEM_KINDS[type(item)]} {item.key}", cut)

    def log_datasets(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Log data sets as inputs of a run; MLflow keeps each of them once."""
        self._call_or_note(
            run_id, "data set", lambda: self._client.log_inputs(run_id, datasets=list(inputs))
        )

    def save_view(self, run_id: str, experiment_id: str, tag: str, view: str) -> None:
        """Save the view of a study, whose run this is, in its experiment."""
        self._call_or_note(
            run_id,
            "saved view",
            lambda: self._client.set_experiment_tag(experiment_id, tag, view),
        )

    def reopen_run(self, run_id: str) -> None:
        """Set a run's status to RUNNING."""
        self._call_or_note(
            run_id, "status RUNNING", lambda: self._client.update_run(run_id, status="RUNNING")
        )

    def terminate_run(self, run_id: str, status: str, end_milliseconds: int) -> None:
        """Set a run's last status and its end time."""
        self._call_or_note(
            run_id,
            f"status {status}",
            lambda: self._client.set_terminated(run_id, status, end_time=end_milliseconds),
        )

    def log_experiment(self, run_id: str, opened: StudyOpened) -> None:
        """Log the experiment, what the data are, the user's code and the packages."""
        if self.is_deleted(run_id):
            return
        if (reason := self._artifact_refusal(run_id, _EXPERIMENT_FILES)) is not None:
            self._note(run_id, "artifacts", reason)
            return
        self._client.log_text(run_id, opened.text, _EXPERIMENT_FILES[0])
        if opened.resolved is not None:
            self._client.log_text(run_id, opened.resolved.toml, _EXPERIMENT_FILES[1])
        self._client.log_dict(run_id, describe_data(opened), _EXPERIMENT_FILES[2])
        if opened.packages:
            self._client.log_text(run_id, format_packages(opened.packages), _EXPERIMENT_FILES[3])
        if opened.code:
            self._client.log_text(run_id, format_digests(opened.code), _EXPERIMENT_FILES[4])
            with temporary_folder("code") as folder:
                write_code_files(opened.code, folder / "code")
                self._client.log_artifacts(run_id, str(folder))

    def _artifact_refusal(self, run_id: str, files: Iterable[str]) -> str | None:
        """Return why these artifacts of a run may not be written; None if they may."""
        address = str(self._client.get_run(run_id).info.artifact_uri)
        return self._guard.refusal_reason(address, files)

    def log_files(self, run_id: str, files: Iterable[Path]) -> None:
        """Log files as artifacts, by their own names."""
        if self.is_deleted(run_id):
            return
        paths = list(files)
        if (reason := self._artifact_refusal(run_id, [path.name for path in paths])) is not None:
            self._note(run_id, "artifacts", reason)
            return
        for path in paths:
            self._client.log_artifact(run_id, str(path))

    def log_model(self, run_id: str, file: Path, opened: StudyOpened) -> str | None:
        """Log a saved model of a run that is not deleted; return why it was not, or None."""
        reason = self._artifact_refusal(run_id, list_model_files(opened.code))
        if reason is not None:
            return reason
        try:
            log_model(self._client, run_id, file, opened)
        except ValueError as error:
            # A journal from elsewhere: an exception would stop the follower at this event.
            return f"it can't be served: {' '.join(str(error).split())[:_MAX_CAUSE_CHARACTERS]}"
        return None

    def _log_items(self, run_id: str, items: Sequence[_Item]) -> None:
        """Log items, or each half of them if MLflow refuses."""
        # MLflow refuses a batch as a whole for a single item: one bad name must not cost a trial
        # all its metrics.
        if not items:
            return

        def log() -> None:
            self._client.log_batch(
                run_id,
                metrics=[item for item in items if isinstance(item, Metric)],
                params=[item for item in items if isinstance(item, Param)],
                tags=[item for item in items if isinstance(item, RunTag)],
            )

        if len(items) == 1:
            self._call_or_note(run_id, f"{_ITEM_KINDS[type(items[0])]} {items[0].key}", log)
        elif self._call(run_id, log) is not None:
            middle = len(items) // 2
            self._log_items(run_id, items[:middle])
            self._log_items(run_id, items[middle:])

    def _call_or_note(self, run_id: str, item: str, call: Callable[[], object]) -> None:
        """Make a call, or note on the run why MLflow refuses it."""
        # An exception would stop the follower at this event for ever, with all events behind it.
        refusal = self._call(run_id, call)
        if refusal is not None:
            self._note(run_id, item, refusal)

    def _note(self, run_id: str, item: str, reason: str) -> None:
        """Note on a run why an item is not stored, or not whole."""
        if self.is_deleted(run_id):
            return
        notes = self._client.get_run(run_id).data.tags.get(REFUSED_TAG, "").splitlines()
        if not any(line.startswith(f"{item}: ") for line in notes):
            self._client.set_tag(
                run_id,
                REFUSED_TAG,
                encode_tag(REFUSED_TAG, "\n".join([*notes, f"{item}: {reason}"])),
            )

    def _call(self, run_id: str, call: Callable[[], object]) -> str | None:
        """Make a call that writes to a run that is not deleted.

        Returns:
            Why MLflow refuses the call; None if it does not.
        """
        if self.is_deleted(run_id):
            return None
        try:
            call()
        except MlflowException as error:
            if error.error_code != _REFUSED:
                raise  # the store can't be reached
            # MLflow refuses writes to a deleted run with the same code. That the user deleted it
            # is no refusal: the run is left alone.
            if self._client.get_run(run_id).info.lifecycle_stage == "deleted":
                self.deleted.add(run_id)
                return None
            lines = scrub_secrets(str(error)).removeprefix(f"{_REFUSED}: ").splitlines()
            return (lines or [_REFUSED])[0][:_MAX_CAUSE_CHARACTERS]
        return None


def to_metrics(metrics: Mapping[str, float], time_seconds: float, epoch: int) -> list[Metric]:
    """Return metrics as MLflow's; epoch 0 is for final metrics."""
    return [
        Metric(encode_name(name), float(value), to_milliseconds(time_seconds), epoch)
        for name, value in metrics.items()
    ]


def to_run_tags(tags: Mapping[str, str]) -> list[RunTag]:
    """Return tags as MLflow's."""
    return [RunTag(encode_name(name), encode_tag(name, value)) for name, value in tags.items()]


def to_milliseconds(seconds: float) -> int:
    """Return a time in MLflow's unit."""
    return int(seconds * 1000)


@dataclass
class _TrialBatch:
    """What a batch of events adds to a trial's run."""

    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


FindModel = Callable[[int], Path | None]
"""Returns the file of a model by the number of its trial or re-training; None if there is none."""

FindTestFiles = Callable[[int], Iterable[Path]]
"""Returns the files that the test of a re-training left, by its number."""


def _number_tags(event: TrialBegun) -> dict[str, str]:
    """Return the tags that tell a trial, or a re-training, from the others of its study."""
    if event.finalist is None:
        return {TRIAL_TAG: str(event.trial)}
    return {TRAINING_TAG: str(event.trial), FINALIST_TAG: str(event.finalist)}


def _read_objectives(opened: StudyOpened) -> Objectives | None:
    """Return the objectives of a study; None if its journal, which may be damaged, has none."""
    with contextlib.suppress(RequestError):
        return Objectives.read(opened.provenance.get(OBJECTIVE_TAG, "").split(", "))
    return None


def _model_tags(run_id: str, trial: int, reason: str | None, opened: StudyOpened) -> dict[str, str]:
    """Return the tags of a run with the model of a trial, or why it has none."""
    if reason is not None:
        return {MODEL_TAG: encode_missing_model(trial, reason)}
    return {MODEL_TAG: str(trial), MODEL_HISTORY_TAG: _model_history(run_id, opened)}


def _model_history(run_id: str, opened: StudyOpened) -> str:
    """Return the record by which MLflow's UI shows the model on the page of a run.

    `MlflowClient.log_artifacts` writes none; `mlflow.models.Model.log` did until MLflow 3, and the
    UI still reads it (3.17). All of it follows from the journal.
    """
    record = {
        "run_id": run_id,
        "artifact_path": MODEL_FOLDER,
        "utc_time_created": datetime.datetime.fromtimestamp(opened.time, datetime.UTC).strftime(
            "%Y-%m-%d %H:%M:%S.%f"
        ),
        "model_uuid": run_id,
        "flavors": {"keras": {"data": "data"}},
    }
    return json.dumps([record])


class Recorder:
    """Records the events of one study at a time in an MLflow store.

    Args:
        client: of the store.
        guard: which addresses of artifacts may be written to.
        artifacts: folder for the artifacts of new experiments; None: the store has its own.
        find_model: returns the file of the model of a best trial, or of a re-training in the
            journal of a finalize; None: there are no models. The path in the journal is not used:
            the journal may come from another machine.
        find_test_files: returns the files of a re-training's test; None: there are none.
        home_id: id of the home that records; None if it has none.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. After `invalidate_runs` the
            same events can be recorded again; after `resume_study`, those from a later one on.

    Example:
        >>> guard = ArtifactGuard("sqlite:///mlflow.db", Path("artifacts"))
        >>> recorder = Recorder(open_client("sqlite:///mlflow.db"), guard, Path("artifacts"))
        >>> recorder.record(event for event, _ in read_events(Path("journal/digits-mlp.jsonl")))
    """

    def __init__(
        self,
        client: MlflowClient,
        guard: ArtifactGuard,
        artifacts: Path | None,
        find_model: FindModel | None = None,
        find_test_files: FindTestFiles | None = None,
        home_id: str | None = None,
    ) -> None:
        self._client = client
        self._guard = guard
        self._writer = RunWriter(client, guard)
        self._artifacts = artifacts
        self._find_model = find_model
        self._find_test_files = find_test_files
        self._home_id = home_id
        self._opened: StudyOpened | None = None
        self._experiment_id = ""
        self._experiment_tags: Mapping[str, str] = {}
        self._runs: RunIndex | None = None
        self._is_index_valid = False
        self._may_race = False
        # Runs that the store may have created twice, by the value of their trial tag; None stands
        # for the parent run or a single run. A dictionary, because it keeps the order.
        self._doubtful: dict[str | None, None] = {}

    @property
    def parent_run_id(self) -> str | None:
        """The study's own run, once the store has it."""
        return None if self._runs is None else self._runs.parent

    def find_run_id(self, trial: int, may_call: bool) -> str | None:
        """Return the run of a trial, or None.

        Args:
            trial: number of the trial.
            may_call: whether the store may be called; else only known runs are returned.
        """
        if self._runs is None:
            return None
        return self._runs.find_run_id(trial) if may_call else self._runs.get_cached(trial)

    def record(
        self, events: Iterable[Event], may_be_recorded: bool = True, may_race: bool = False
    ) -> None:
        """Record events in their order.

        Args:
            events: of one study.
            may_be_recorded: whether the store may have some of them already, so that runs must be
                looked up before they are created.
            may_race: whether an abandoned tracker may be creating the runs of these events now.
        """
        self._may_race = may_race
        # A call to MLflow costs milliseconds, an epoch may be shorter. So all that a batch adds to
        # a trial goes to the store in one call.
        batches: dict[int, _TrialBatch] = defaultdict(_TrialBatch)
        for event in events:
            match event:
                case TrialBegun():
                    self._begin_trial(event, batches[event.trial], may_be_recorded)
                case EpochEnded():
                    points = to_metrics(event.metrics, event.time, event.epoch)
                    batches[event.trial].metrics += points
                case TrialEnded():
                    self._end_trial(event, batches.pop(event.trial, _TrialBatch()))
                case StudyOpened():
                    self._open_study(event)
                case TestSetOpened():
                    self._record_opening(event)
                case FinalistTested():
                    self._record_test(event)
                case FinalizeJudged():
                    self._record_verdicts(event)
                case StudyClosed():
                    self._close_study(event)
                case _:
                    assert_never(event)
        for trial, batch in batches.items():
            self._log_trial(self._require_run_id(trial), batch)

    def invalidate_runs(self) -> None:
        """Look up the study's runs anew before the next event.

        A call that failed may have reached the store: what is known of its runs may be wrong.
        """
        self._is_index_valid = False

    def resume_study(self, opened: StudyOpened) -> bool:
        """Look up a study that was recorded in part; return whether it exists."""
        runs = self._index_runs(opened)
        return runs.has_runs and (opened.study is None or runs.parent is not None)

    def _open_study(self, event: StudyOpened) -> None:
        is_indexed = (
            self._is_index_valid
            and self._opened is not None
            and self._opened.study_id == event.study_id
        )
        # Another supervisor of a shared study may have created the parent run meanwhile.
        if not is_indexed or (event.supervisor and self.parent_run_id is None):
            self._index_runs(event)
        self._opened, runs = event, self._require_runs()
        if event.study is None:
            return
        stored_tags: Mapping[str, str] = {}
        stored_params: Mapping[str, str] = {}
        if runs.parent is None:
            tags = {STUDY_TAG: event.study, STUDY_ID_TAG: event.study_id}
            runs.parent = self._create_run(event.study, event.time, tags)
        elif event.finalize is not None:
            return  # the study's own run is the sweep's
        else:
            # An event that is repeated must not reopen a study that another supervisor has closed
            # since.
            if not (event.supervisor and runs.is_closed_after(to_milliseconds(event.time))):
                self._writer.reopen_run(runs.parent)
            stored = self._client.get_run(runs.parent).data
            stored_tags, stored_params = stored.tags, stored.params
        tags = {**event.provenance}
        if self._home_id is not None:
            tags[HOME_TAG] = self._home_id
        # MLflow changes no parameter. All sessions of a study have the same fixed values: the study
        # fingerprint is compared before.
        fixed = {
            name: value
            for name, value in event.fixed.items()
            if encode_name(name) not in stored_params
        }
        self._writer.log_batch(
            runs.parent, params=fixed, tags=merge_session_tags(stored_tags, tags)
        )
        self._log_datasets(runs.parent, event)
        self._writer.log_experiment(runs.parent, event)
        self._save_view(runs.parent, event)

    def _log_datasets(self, run_id: str, opened: StudyOpened) -> None:
        """Log what a study, or a single run, is trained and validated on."""
        inputs = [dataset_input(opened.data, context) for context in (TRAINING, VALIDATION)]
        self._writer.log_datasets(run_id, inputs)

    def _save_view(self, run_id: str, opened: StudyOpened) -> None:
        """Save the view of a study, unless the experiment has one: a user may have changed it."""
        tag, objectives = view_tag(opened.study_id), _read_objectives(opened)
        if tag in self._experiment_tags or objectives is None or opened.study is None:
            return
        view = make_view(
            opened.study,
            opened.study_id,
            objectives,
            opened.searched,
            to_milliseconds(opened.time),
        )
        if view is not None and opened.searched:
            self._writer.save_view(run_id, self._experiment_id, tag, view)
            self._experiment_tags = {**self._experiment_tags, tag: view}

    def _begin_trial(self, event: TrialBegun, batch: _TrialBatch, may_be_recorded: bool) -> None:
        opened, runs = self._require_study(), self._require_runs()
        trial_tags = {"assay.seed": str(event.seed), "assay.origin": event.origin}
        if event.retry_of is not None:
            trial_tags |= {
                "assay.attempt": str(event.attempt),
                "assay.retry_of": str(event.retry_of),
            }
        if opened.study is None:
            # A single run has no parent run that would hold it. Its seed is that of the training.
            trial_tags = {**opened.provenance, **trial_tags}
        elif opened.finalize is not None:
            # The study's own run has that of the sweeps; only it has the objectives.
            provenance = {**opened.provenance}
            provenance.pop(OBJECTIVE_TAG, None)
            trial_tags = provenance | trial_tags
            if opened.finalize.splits:
                trial_tags[SPLIT_SEED_TAG] = str(event.seed)
        # What no earlier tracker can have recorded need not be looked up.
        run_id = runs.find_run_id(event.trial) if may_be_recorded else runs.get_cached(event.trial)
        if run_id is None:
            tags = {STUDY_ID_TAG: opened.study_id, **trial_tags}
            name = opened.name or "run"
            if opened.study is not None:
                assert runs.parent is not None
                tags |= {STUDY_TAG: opened.study, PARENT_TAG: runs.parent}
                tags |= _number_tags(event)
                name = f"trial-{event.trial:04d}"
                if event.finalist is not None:
                    name = f"finalist-{event.finalist:04d}-{event.trial:04d}"
            run_id = self._create_run(name, event.time, tags)
            runs.add_run(event.trial, run_id)
        batch.params |= event.params
        if opened.study is None:
            self._log_datasets(run_id, opened)
            self._writer.log_experiment(run_id, opened)

    def _end_trial(self, event: TrialEnded, batch: _TrialBatch) -> None:
        metrics = (
            dict(event.metrics) if event.value is None else {"value": event.value, **event.metrics}
        )
        batch.metrics += to_metrics(metrics, event.time, epoch=0)
        batch.tags[STATE_TAG] = event.label
        if event.error is not None:
            # The paths in a traceback would name the user.
            error = event.error.replace(str(Path.home()), "~")
            batch.tags[ERROR_TAG] = error
        run_id = self._require_run_id(event.trial)
        self._log_trial(run_id, batch)
        # After the batch: a run that has ended is complete.
        self._writer.terminate_run(run_id, run_status(event.label), to_milliseconds(event.time))

    def _record_opening(self, event: TestSetOpened) -> None:
        """Record on the study's own run that the test set is about to be opened."""
        parent, opened = self._require_runs().parent, self._require_study()
        if parent is None or opened.finalize is None:
            return
        chosen = {finalist.trial: finalist for finalist in opened.finalize.finalists}
        record = {
            "time": datetime.datetime.fromtimestamp(event.time, datetime.UTC).isoformat(),
            "leader": event.leader,
            "configurations": [
                {"trial": trial, "params": dict(chosen[trial].searched)}
                for trial in event.trials
                if trial in chosen
            ],
        }
        tags = {
            OPENINGS_TAG: str(event.opening),
            opening_tag(event.opening): json.dumps(record),
            "assay.finalize": json.dumps(
                {
                    "top": opened.finalize.top,
                    "seeds": opened.finalize.seeds,
                    "splits": opened.finalize.splits,
                }
            ),
        }
        self._writer.log_batch(parent, tags=tags)
        self._writer.log_datasets(parent, [dataset_input(opened.data, TEST)])

    def _record_test(self, event: FinalistTested) -> None:
        run_id = self._require_run_id(event.trial)
        tags = {} if event.error is None else {ERROR_TAG: event.error}
        points = to_metrics(event.metrics, event.time, epoch=0)
        self._writer.log_batch(run_id, points, tags=tags)
        if self._find_test_files is not None:
            self._writer.log_files(run_id, self._find_test_files(event.trial))

    def _record_verdicts(self, event: FinalizeJudged) -> None:
        parent, opened = self._require_runs().parent, self._require_study()
        if parent is not None:
            tags = {
                LEADER_TAG: str(event.leader),
                VERDICTS_TAG: json.dumps(dict(event.verdicts)),
                # A later finalize replaces the two above.
                verdicts_tag(event.opening): json.dumps(
                    {"leader": event.leader, "verdicts": dict(event.verdicts)}
                ),
            }
            self._writer.log_batch(parent, tags=tags)
            registered = None
            if event.registration is not None and not self._writer.is_deleted(parent):
                registered = self._register_network(event, event.registration, parent)
            finalists = () if opened.finalize is None else opened.finalize.finalists
            blocks = finalize_part(event, finalists, registered, self._note_links(parent))
            self._write_note(parent, FINALIZE, blocks)

    def _register_network(
        self, event: FinalizeJudged, registration: Registration, parent: str
    ) -> RegisteredVersion | str:
        """Log and register the leader's network, once for each opening of the test set.

        Returns:
            The version; or why there is none.
        """
        tag = registered_tag(event.opening)
        text = self._client.get_run(parent).data.tags.get(tag)
        # With the tag it was registered: what a user has deleted or moved since stays so.
        if text is None:
            try:
                registered = self._register_version(event, registration, parent)
                text = encode_registration(registered)
            except NotRegistered as error:
                text = encode_registration(str(error))
        # Also of an event that is repeated: a later finalize replaces the first of the two.
        self._writer.log_batch(parent, tags={REGISTERED_TAG: text, tag: text})
        return read_registration(text)

    def _register_version(
        self, event: FinalizeJudged, registration: Registration, parent: str
    ) -> RegisteredVersion:
        """Log and register the leader's network.

        Raises:
            NotRegistered: it can't be registered.
        """
        run_id, opened = self._require_run_id(registration.training), self._require_study()
        self._log_network(run_id, event.leader, registration, opened)
        registry = ModelRegistry(self._client, str(opened.study), opened.study_id)
        use = describe_use(registry.name, run_id, parent, self._experiment_id)
        name, version = registry.register(
            run_id, event.opening, f"{registration.description}\n\n{use}", registration.tags
        )
        return RegisteredVersion(
            name=name,
            version=version,
            alias=CHAMPION,
            run_id=run_id,
            opening=event.opening,
            trial=event.leader,
            training=registration.training,
        )

    def _log_network(
        self, run_id: str, leader: int, registration: Registration, opened: StudyOpened
    ) -> None:
        """Log the network to its training's run.

        Raises:
            NotRegistered: the run does not have it afterwards.
        """
        if registration.unsaved is not None:
            raise NotRegistered(" ".join(registration.unsaved.split()))
        run = self._client.get_run(run_id)
        if is_deleted(run):
            raise NotRegistered(f"the run of training {registration.training} was deleted")
        has_tag = run.data.tags.get(MODEL_TAG) == str(leader)
        if has_tag and has_model_files(self._client, self._guard, run):
            return
        file = None if self._find_model is None else self._find_model(registration.training)
        reason = (
            "its file is not in this home"
            if file is None
            else self._writer.log_model(run_id, file, opened)
        )
        self._writer.log_batch(run_id, tags=_model_tags(run_id, leader, reason, opened))
        if reason is not None:
            raise NotRegistered(reason)

    def _log_trial(self, run_id: str, batch: _TrialBatch) -> None:
        self._writer.log_batch(run_id, batch.metrics, batch.params, batch.tags)

    def _close_study(self, event: StudyClosed) -> None:
        opened, runs = self._require_study(), self._require_runs()
        if opened.finalize is not None:
            return  # the study's own run is the sweep's
        run_id = runs.parent if opened.study is not None else runs.find_run_id(0)
        if run_id is None or self._writer.is_deleted(run_id):
            return
        end_milliseconds = to_milliseconds(event.time)
        if opened.supervisor and runs.is_closed_after(end_milliseconds):
            return  # the supervisor that closed it last knows of more trials, and logs the best
        has_front = any(len(best.values) > 1 for best in event.best)
        for best in event.best:
            # With one objective the study's own run has the model; on a Pareto front each trial
            # has its own.
            model_run = self._find_best_run_id(best, opened) if has_front else run_id
            if model_run is not None:
                self._log_model(model_run, best, opened)
        if opened.study is None:
            return
        self._writer.log_batch(run_id, tags=event.tags)
        if has_front:
            front = ", ".join(str(best.trial) for best in event.best)
            self._writer.log_batch(run_id, tags={PARETO_TAG: front})
        elif event.best:
            (best,) = event.best
            tags = {BEST_TAG: str(best.trial)}
            if (best_run := self._find_best_run_id(best, opened)) is not None:
                tags["assay.best_run"] = best_run
            # The value as a metric, so that MLflow's table can sort studies by it.
            value = Metric("best_value", best.values[0], end_milliseconds, 0)
            self._writer.log_batch(run_id, [value], tags=tags)
        self._note_search(run_id, event)
        self._writer.terminate_run(run_id, CLOSING_STATUS[event.closing], end_milliseconds)

    def _note_search(self, run_id: str, event: StudyClosed) -> None:
        """Write what the search found into the note of the study's run."""
        opened = self._require_study()
        objectives = _read_objectives(opened)
        # A journal may come from elsewhere, with values that are not those of the objectives.
        if objectives is None or any(len(best.values) != len(objectives) for best in event.best):
            return
        assert opened.study is not None
        blocks = search_part(
            opened.study,
            objectives,
            [self._find_best_run(best, opened) for best in event.best[:_MOST_NOTED]],
            len(event.best),
            event.tags,
            self._note_links(run_id),
            has_view=view_tag(opened.study_id) in self._experiment_tags,
        )
        self._write_note(run_id, SEARCH, blocks)

    def _find_best_run(self, best: BestTrial, opened: StudyOpened) -> BestRun:
        run_id = self._find_best_run_id(best, opened)
        stored = {} if run_id is None else self._client.get_run(run_id).data.params
        names = {name: encode_name(name) for name in opened.searched}
        params = {name: stored[key] for name, key in names.items() if key in stored}
        return BestRun(best, run_id, params)

    def _note_links(self, run_id: str) -> NoteLinks:
        return NoteLinks(self._experiment_id, run_id, self._require_study().study_id)

    def _write_note(self, run_id: str, part: str, blocks: Sequence[str]) -> None:
        """Write a part of the note of the study's run; what a user wrote beside it stays."""
        if self._writer.is_deleted(run_id):
            return
        stored = self._client.get_run(run_id).data.tags.get(NOTE_TAG, "")
        note = replace_part(stored, part, blocks)
        if note != stored:
            self._writer.log_batch(run_id, tags={NOTE_TAG: note})

    def _log_model(self, run_id: str, best: BestTrial, opened: StudyOpened) -> None:
        """Log the model of a best trial, or note why there is none."""
        if best.model is not None:
            # An event that is repeated may find no file: it is removed once MLflow has the model.
            file = None if self._find_model is None else self._find_model(best.trial)
            if file is None or self._writer.is_deleted(run_id):
                return
            reason = self._writer.log_model(run_id, file, opened)
            self._writer.log_batch(run_id, tags=_model_tags(run_id, best.trial, reason, opened))
            return
        # Another supervisor of a shared study, on another machine, may have logged it.
        if self._client.get_run(run_id).data.tags.get(MODEL_TAG) != str(best.trial):
            reason = self._explain_missing_model(best, opened)
            self._writer.log_batch(
                run_id, tags={MODEL_TAG: encode_missing_model(best.trial, reason)}
            )

    def _explain_missing_model(self, best: BestTrial, opened: StudyOpened) -> str:
        run_id = self._find_best_run_id(best, opened)
        # A complete trial has no other error than notes on what it could not keep.
        note = None if run_id is None else self._client.get_run(run_id).data.tags.get(ERROR_TAG)
        return "its file is not in this home" if note is None else " ".join(note.split())

    def find_model(self, trial: int, on_parent: bool) -> StoredModel:
        """Return what the store has of a best trial's model; may call the store.

        Args:
            trial: number of the trial.
            on_parent: whether the study's own run is to have it.
        """
        run_id = self.parent_run_id if on_parent else self.find_run_id(trial, may_call=True)
        if run_id is None:
            return StoredModel()
        return read_model(self._client, self._guard, self._client.get_run(run_id), trial)

    def _find_best_run_id(self, best: BestTrial, opened: StudyOpened) -> str | None:
        if not opened.supervisor:
            return self._require_run_id(best.trial)
        # In a shared study the best trial may be another supervisor's, whose tracker has not
        # recorded it yet.
        runs = self._require_runs()
        return runs.get_cached(best.trial) or runs.find_foreign_run_id(best.trial)

    def _require_study(self) -> StudyOpened:
        if self._opened is None:
            raise RuntimeError("an event was recorded before its study was opened")
        return self._opened

    def _require_runs(self) -> RunIndex:
        if self._runs is None:
            raise RuntimeError("an event was recorded before its study was opened")
        return self._runs

    def _require_run_id(self, trial: int) -> str:
        run_id = self._require_runs().find_run_id(trial)
        if run_id is None:
            raise RuntimeError(f"an event of trial {trial} was recorded before its beginning")
        return run_id

    def _index_runs(self, opened: StudyOpened) -> RunIndex:
        """Look up the study's runs anew."""
        self._opened = opened
        self._experiment_id, self._experiment_tags = self._get_experiment(
            encode_text(opened.experiment)
        )
        runs = RunIndex(
            self._client,
            self._experiment_id,
            opened.study_id,
            single=opened.study is None,
            number_tag=TRIAL_TAG if opened.finalize is None else TRAINING_TAG,
        )
        # Of runs that the store may have twice, the one that was written to goes on to count:
        # events are never divided between duplicates.
        for trial in self._doubtful:
            if self._runs is not None:
                runs.keep_run(None if trial is None else int(trial), self._runs)
        self._runs, self._writer.deleted, self._is_index_valid = runs, runs.deleted, True
        return runs

    def _get_experiment(self, name: str) -> tuple[str, Mapping[str, str]]:
        """Return the id and the tags of an MLflow experiment, created or restored if need be."""
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.lifecycle_stage != "active":
                self._client.restore_experiment(experiment.experiment_id)
            return str(experiment.experiment_id), dict(experiment.tags)
        location = (
            None
            if self._artifacts is None
            else (self._artifacts.resolve() / file_name(name)).as_uri()
        )
        try:
            # With its kind the UI need not ask the user for it.
            tags = {EXPERIMENT_KIND_TAG: MODEL_TRAINING}
            return str(
                self._client.create_experiment(name, artifact_location=location, tags=tags)
            ), tags
        except MlflowException:
            # Another sweep of the same experiment may have created it in between.
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id), dict(experiment.tags)

    def _create_run(self, name: str, start_seconds: float, tags: Mapping[str, str]) -> str:
        """Create a run with the tags by which it is looked up."""
        encoded = to_run_tags(tags)
        called_at, is_answered = time.monotonic(), False
        try:
            run = self._client.create_run(
                self._experiment_id,
                start_time=to_milliseconds(start_seconds),
                tags={tag.key: tag.value for tag in encoded},
                run_name=encode_run_name(name),
            )
            is_answered = True
        finally:
            # A call that failed, or was slow, may still be carried out, even after a lookup has
            # found no run and a second call has created one. So `delete_duplicates` looks again.
            is_slow = time.monotonic() - called_at > _SLOW_SECONDS
            if self._may_race or not is_answered or is_slow:
                self._doubtful[tags.get(TRAINING_TAG, tags.get(TRIAL_TAG))] = None
        run_id = str(run.info.run_id)
        self._writer.note_cuts(run_id, zip(encoded, tags.values(), strict=True))
        return run_id

    def delete_duplicates(self) -> None:
        """Delete duplicate runs that failed or slow calls left."""
        doubtful = {None if trial is None else int(trial) for trial in self._doubtful}
        for run_id in self._require_runs().find_duplicates(doubtful) if doubtful else ():
            self._client.delete_run(run_id)
        # Only now: if the store fails in between, the next attempt deletes the rest.
        self._doubtful.clear()
