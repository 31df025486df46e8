"""Writing to the runs of a store, but to those that somebody deleted: that is what they want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from experiments.tracking.model import log_model
from experiments.tracking.schema import param_text, storable
from search.events import StudyOpened

_LARGEST_BATCH_METRICS = 1000  # MLflow's own limit


class RunWriter:
    """Writes to runs.

    Args:
        client: of the store.

    Attributes:
        deleted: the runs that somebody deleted, by their ids.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached or refuses.
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
        if self.is_deleted(run_id):
            return
        first, *others = [
            metrics[start : start + _LARGEST_BATCH_METRICS]
            for start in range(0, max(1, len(metrics)), _LARGEST_BATCH_METRICS)
        ]
        self._client.log_batch(
            run_id,
            metrics=first,
            params=[Param(name, param_text(value)) for name, value in (params or {}).items()],
            tags=[RunTag(name, storable(value)) for name, value in (tags or {}).items()],
        )
        for some in others:
            self._client.log_batch(run_id, metrics=some)

    def terminate(self, run_id: str, status: str, at_milliseconds: int) -> None:
        """Say how a run ended, and when."""
        if not self.is_deleted(run_id):
            self._client.set_terminated(run_id, status, end_time=at_milliseconds)

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


def points(metrics: Mapping[str, float], at_seconds: float, epoch: int) -> list[Metric]:
    """Return metrics as MLflow has them; what is measured once, as a trial ends, is said to be of epoch 0."""
    return [Metric(name, float(value), milliseconds(at_seconds), epoch) for name, value in metrics.items()]


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it."""
    return int(seconds * 1000)
