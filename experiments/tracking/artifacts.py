"""Reading artifacts of runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from assay.experiments.config.text_file import read_utf8
from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.models.files import temporary_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

_Content = TypeVar("_Content")


def read_artifact(
    store_paths: StorePaths, run_id: str, name: str, read: Callable[[Path], _Content]
) -> _Content | None:
    """Return what is in an artifact; None if the run has none of this name.

    Args:
        store_paths: where the store is.
        run_id: the run, which exists.
        name: of the file, without a folder.
        read: reads a copy of the file.

    Raises:
        RequestError: the store can't be reached, or its address of the artifact may not be read.

    Example:
        >>> read_artifact(store_paths, run_id, "predictions.npz", np.load)
    """
    client = _open_artifacts(store_paths, run_id)
    if name not in {file.path for file in client.list_artifacts(run_id)}:
        return None
    with temporary_folder("artifact") as folder:
        return read(Path(client.download_artifacts(run_id, name, str(folder))))


def download_folder(store_paths: StorePaths, run_id: str, name: str, into: Path) -> Path | None:
    """Copy a folder of artifacts; return the copy, or None if the run has none of this name.

    Args:
        store_paths: where the store is.
        run_id: the run, which exists.
        name: of the folder.
        into: an existing folder for the copy.

    Raises:
        RequestError: as `read_artifact`.
    """
    client = _open_artifacts(store_paths, run_id)
    if not client.list_artifacts(run_id, name):
        return None
    return Path(client.download_artifacts(run_id, name, str(into)))


def _open_artifacts(store_paths: StorePaths, run_id: str) -> MlflowClient:
    """Return the client of a store in which the artifacts of a run may be read.

    Raises:
        RequestError: they may not.
    """
    client = open_client(store_paths.tracking_uri)
    address = str(client.get_run(run_id).info.artifact_uri)
    if (reason := ArtifactGuard.for_reading(store_paths).refusal_reason(address)) is not None:
        raise RequestError(
            f"the artifacts of run {run_id} can't be read: {reason}; where home was copied, 'assay "
            "doctor --fix' changes its addresses."
        )
    return client


def read_text_artifact(store_paths: StorePaths, run_id: str, name: str) -> str | None:
    """Return the text of an artifact; None if the run has none of this name.

    Args:
        store_paths: where the store is.
        run_id: the run, which exists.
        name: of the file, without a folder.

    Raises:
        RequestError: as `read_artifact`, or the file is no text.
    """

    def read(path: Path) -> str:
        try:
            return read_utf8(path)
        except (OSError, ValueError) as error:
            raise RequestError(
                f"the artifact {name} of run {run_id} can't be read: {error}."
            ) from None

    return read_artifact(store_paths, run_id, name, read)
