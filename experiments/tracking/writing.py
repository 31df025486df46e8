"""Writing to the runs of a store, but to those that somebody deleted: that is what they want."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from experiments.tracking.model import log_model
from experiments.tracking.schema import REFUSED_TAG, error_text, name_text, param_text, tag_text
from search.events import StudyOpened
from search.urls import scrubbed

_LARGEST_BATCH_METRICS = 1000  # MLflow's own limit
_CAUSE_CHARACTERS = 300
_REFUSED = "INVALID_PARAMETER_VALUE"
_KINDS = {Metric: "metric", Param: "parameter", RunTag: "tag"}

_Item: TypeAlias = Metric | Param | RunTag


class RunWriter:
    """Writes to runs.

    Args:
        client: of the store.

    Attributes:
        deleted: the runs that somebody deleted, by their ids.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. What it refuses is skipped and noted on the run.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.deleted: set[str] = set()

    def is_deleted(self, run_id: str) -> bool:
        """Return whether somebody deleted a run."""
        return run_id in self.deleted

    def write(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log to a run, in as few calls as can be."""
        others: list[_Item] = [Param(name_text(name), param_text(value)) for name, value in (params or {}).items()]
        others += [RunTag(name_text(name), tag_text(value)) for name, value in (tags or {}).items()]
        self._log(run_id, [*metrics[:_LARGEST_BATCH_METRICS], *others])
        for start in range(_LARGEST_BATCH_METRICS, len(metrics), _LARGEST_BATCH_METRICS):
            self._log(run_id, metrics[start : start + _LARGEST_BATCH_METRICS])

    def take_up(self, run_id: str) -> None:
        """Say that a run goes on."""
        self._try(run_id, "status RUNNING", lambda: self._client.update_run(run_id, status="RUNNING"))

    def terminate(self, run_id: str, status: str, at_milliseconds: int) -> None:
        """Say how a run ended, and when."""
        self._try(
            run_id,
            f"status {status}",
            lambda: self._client.set_terminated(run_id, status, end_time=at_milliseconds),
        )

    def log_files(self, run_id: str, opened: StudyOpened) -> None:
        """Log the experiment's file, and what its data are."""
        if self.is_deleted(run_id):
            return
        self._client.log_text(run_id, opened.text, "experiment.toml")
        self._client.log_dict(run_id, dict(opened.data), "data.json")

    def log_model(self, run_id: str, file: str, opened: StudyOpened) -> None:
        """Log a saved model, if the file is still there."""
        if Path(file).exists() and not self.is_deleted(run_id):
            log_model(self._client, run_id, Path(file), opened.data, opened.provenance["assay.backend"])

    def _log(self, run_id: str, items: Sequence[_Item]) -> None:
        """Log some items; of those that MLflow refuses together it is asked for each half, down to what it means."""
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
            self._try(run_id, f"{_KINDS[type(items[0])]} {items[0].key}", log)
        elif not self._takes(run_id, log):
            middle = len(items) // 2
            self._log(run_id, items[:middle])
            self._log(run_id, items[middle:])

    def _takes(self, run_id: str, call: Callable[[], object]) -> bool:
        return self._refusal(run_id, call) is None

    def _try(self, run_id: str, what: str, call: Callable[[], object]) -> None:
        """Make a call; if MLflow refuses it, say so on the run: what comes behind it must not wait for ever."""
        refusal = self._refusal(run_id, call)
        if refusal is None:
            return
        told = self._client.get_run(run_id).data.tags.get(REFUSED_TAG, "").splitlines()
        if not any(line.startswith(f"{what}: ") for line in told):
            self._client.set_tag(run_id, REFUSED_TAG, error_text("\n".join([*told, f"{what}: {refusal}"])))

    def _refusal(self, run_id: str, call: Callable[[], object]) -> str | None:
        """Make a call that writes to a run, unless somebody deleted it; return why MLflow refuses it, if it does."""
        if self.is_deleted(run_id):
            return None
        try:
            call()
        except MlflowException as error:
            if error.error_code != _REFUSED:
                raise  # the store is away
            if self._client.get_run(run_id).info.lifecycle_stage == "deleted":
                self.deleted.add(run_id)
                return None
            first = (scrubbed(str(error)).removeprefix(f"{_REFUSED}: ").splitlines() or [_REFUSED])[0]
            return first[:_CAUSE_CHARACTERS]
        return None


def points(metrics: Mapping[str, float], at_seconds: float, epoch: int) -> list[Metric]:
    """Return metrics as MLflow has them; what is measured once, as a trial ends, is said to be of epoch 0."""
    return [Metric(name_text(name), float(value), milliseconds(at_seconds), epoch) for name, value in metrics.items()]


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it."""
    return int(seconds * 1000)
