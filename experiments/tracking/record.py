"""What each event of a study becomes in MLflow.

Recording an event twice leaves what recording it once does: runs are looked up by their trial before one is created,
and a metric's point carries the event's own time, by which MLflow knows that it has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from experiments.tracking.model import log_model
from experiments.tracking.schema import PARENT_TAG, STUDY_TAG, TRIAL_TAG, of_study
from search.events import EpochEnded, Event, StudyClosed, StudyOpened, TrialBegun, TrialEnded

_CLOSING_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_LARGEST_BATCH_METRICS = 1000  # MLflow's own limit
_LARGEST_TAG_CHARACTERS = 5000  # MLflow's own limit is 8,000; the last lines of an error say the most


class Recorder:
    """Writes events into an MLflow store.

    Args:
        client: of the store.
        artifacts: where the artifacts of new experiments go; None leaves it to the store.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached or refuses. After `resume` the same events can be
            recorded again.
    """

    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self._client = client
        self._artifacts = artifacts
        self._opened: StudyOpened | None = None
        self._experiment_id = ""
        self.parent_run_id: str | None = None
        self.runs: dict[int, str] = {}

    def record(self, events: Iterable[Event]) -> None:
        """Record events in their order, each trial's epochs in one batch as far as they come together."""
        epochs: dict[int, list[EpochEnded]] = defaultdict(list)
        for event in events:
            match event:
                case EpochEnded():
                    epochs[event.trial].append(event)
                case TrialEnded():
                    self._epochs_ended(epochs.pop(event.trial, []))
                    self._trial_ended(event)
                case TrialBegun():
                    self._trial_begun(event)
                case StudyOpened():
                    self._study_opened(event)
                case StudyClosed():
                    self._study_closed(event)
                case _:
                    assert_never(event)
        for ended in epochs.values():
            self._epochs_ended(ended)

    def resume(self, opened: StudyOpened) -> bool:
        """Take up a study that was recorded in part; return whether the store knows it."""
        self._find_runs(opened)
        return self.parent_run_id is not None or bool(self.runs)

    def _study_opened(self, event: StudyOpened) -> None:
        self._find_runs(event)
        if event.study is None:
            return
        tags = {STUDY_TAG: event.study, **event.provenance}
        if self.parent_run_id is None:
            run = self._client.create_run(
                self._experiment_id, start_time=_milliseconds(event.time), tags=tags, run_name=event.study
            )
            self.parent_run_id = run.info.run_id
        else:
            self._client.update_run(self.parent_run_id, status="RUNNING")
            self._tag(self.parent_run_id, tags)
        self._log_files(self.parent_run_id, event)

    def _trial_begun(self, event: TrialBegun) -> None:
        opened = self._known_study()
        if event.trial in self.runs:
            return
        tags = {"assay.seed": str(event.seed), "assay.origin": event.origin}
        name = "run"
        if opened.study is None:
            tags |= opened.provenance
        else:
            assert self.parent_run_id is not None
            tags |= {STUDY_TAG: opened.study, TRIAL_TAG: str(event.trial), PARENT_TAG: self.parent_run_id}
            name = f"trial-{event.trial:04d}"
        run = self._client.create_run(
            self._experiment_id, start_time=_milliseconds(event.time), tags=tags, run_name=name
        )
        run_id = run.info.run_id
        self._client.log_batch(run_id, params=[Param(key, str(value)) for key, value in event.params.items()])
        self.runs[event.trial] = run_id
        if opened.study is None:
            self._log_files(run_id, opened)

    def _epochs_ended(self, events: Sequence[EpochEnded]) -> None:
        points = [
            Metric(name, value, _milliseconds(event.time), event.epoch)
            for event in events
            for name, value in event.metrics.items()
        ]
        for start in range(0, len(points), _LARGEST_BATCH_METRICS):
            batch = points[start : start + _LARGEST_BATCH_METRICS]
            self._client.log_batch(self.runs[events[0].trial], metrics=batch)

    def _trial_ended(self, event: TrialEnded) -> None:
        run_id = self.runs[event.trial]
        values = dict(event.metrics) if event.value is None else {"value": event.value, **event.metrics}
        tags = {"assay.state": event.label}
        if event.error is not None:
            tags["assay.error"] = event.error[-_LARGEST_TAG_CHARACTERS:]
        at = _milliseconds(event.time)
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, float(value), at, 0) for name, value in values.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        interrupted = event.state == "failed" and event.reason == "interrupted"
        status = "KILLED" if interrupted else "FAILED" if event.state == "failed" else "FINISHED"
        self._client.set_terminated(run_id, status, end_time=at)

    def _study_closed(self, event: StudyClosed) -> None:
        opened = self._known_study()
        holder = self.parent_run_id if opened.study is not None else self.runs.get(event.best or 0)
        if holder is None:
            return
        if event.best is not None and event.best_model is not None and Path(event.best_model).exists():
            log_model(self._client, holder, Path(event.best_model), opened.data, opened.provenance["assay.backend"])
        if opened.study is None:
            return
        if event.best is not None:
            self._tag(holder, {"assay.best_trial": str(event.best), "assay.best_run": self.runs[event.best]})
        self._client.set_terminated(holder, _CLOSING_STATUS[event.closing], end_time=_milliseconds(event.time))

    def _known_study(self) -> StudyOpened:
        if self._opened is None:
            raise RuntimeError("the recorder was handed events of a study that was not opened")
        return self._opened

    def _find_runs(self, opened: StudyOpened) -> None:
        """Look up the experiment, the study's parent run and the runs of its trials, as far as there are any."""
        self._opened = opened
        self._experiment_id = self._find_experiment(opened.experiment)
        self.parent_run_id, self.runs = None, {}
        if opened.study is None:
            return
        token = None
        while token is None or token:
            page = self._client.search_runs(
                [self._experiment_id],
                filter_string=of_study(opened.study),
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            for run in page:
                if run.data.tags[STUDY_TAG] != opened.study:
                    continue
                if TRIAL_TAG in run.data.tags:
                    self.runs[int(run.data.tags[TRIAL_TAG])] = run.info.run_id
                elif PARENT_TAG not in run.data.tags:
                    self.parent_run_id = run.info.run_id
            token = page.token or ""

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage != "active":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        location = None if self._artifacts is None else (self._artifacts / name).resolve().as_uri()
        try:
            return str(self._client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another study of the same experiment came first
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def _log_files(self, run_id: str, opened: StudyOpened) -> None:
        self._client.log_text(run_id, opened.text, "experiment.toml")
        self._client.log_dict(run_id, dict(opened.data), "data.json")


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
