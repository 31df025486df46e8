"""Logging a report to the run of its study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.schema import REPORT_FILE, REPORT_FOLDER, REPORT_TAG
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.system.urls import first_line


def log_report(
    store_paths: StorePaths, run_id: str, folder: Path, names: Sequence[str]
) -> tuple[str | None, str | None]:
    """Log the files of a report as artifacts of a run, and its address as a tag.

    Args:
        store_paths: where the store is.
        run_id: the study's own run.
        folder: of the report.
        names: its files, by their names in the folder.

    Returns:
        The address of the page, and why it was not logged; one of them is None.
    """
    from mlflow.exceptions import MlflowException  # here, because importing MLflow takes seconds

    address = f"runs:/{run_id}/{REPORT_FILE}"
    try:
        client = open_client(store_paths.tracking_uri)
        artifacts = str(client.get_run(run_id).info.artifact_uri)
        paths = [f"{REPORT_FOLDER}/{name}" for name in names]
        reason = ArtifactGuard.of(store_paths).refusal_reason(artifacts, paths)
        if reason is None:
            for name, path in zip(names, paths, strict=True):
                client.log_artifact(run_id, str(folder / name), path.rpartition("/")[0])
            client.set_tag(run_id, REPORT_TAG, address)
    except (RequestError, SearchError, MlflowException, OSError) as error:
        reason = first_line(error)
    if reason is not None:
        return None, f"the report was not logged to MLflow: {reason}"
    return address, None
