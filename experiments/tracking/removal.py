"""Taking a study's runs out of MLflow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from experiments.places import Places
from experiments.tracking.lookup import search_runs
from experiments.tracking.schema import STUDY_ID_TAG, STUDY_TAG, TRIAL_TAG
from experiments.tracking.store import open_client
from search.urls import masked

if TYPE_CHECKING:
    from mlflow.entities import Run


def runs_of_ids(places: Places, ids: Collection[str]) -> list[str]:
    """Return the ids of the runs of the studies of these ids: those of trials, then those of the studies themselves.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(places.tracking_uri)
    return _children_first(
        run for study_id in ids for run in search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'")
    )


def are_known(places: Places, ids: Collection[str]) -> bool:
    """Return whether the store has, or had until they were deleted, runs of studies of these ids.

    Raises:
        RequestError: the store can't be reached.
    """
    from mlflow.entities import ViewType  # here, because importing MLflow takes seconds

    client = open_client(places.tracking_uri)
    return any(any(search_runs(client, f"tags.`{STUDY_ID_TAG}` = '{study_id}'", ViewType.ALL)) for study_id in ids)


def runs_of_name(places: Places, study: str) -> list[str]:
    """Return the same of every study of a name.

    Raises:
        RequestError: the store can't be reached.
    """
    tagged = search_runs(open_client(places.tracking_uri), f"tags.`{STUDY_TAG}` LIKE '%'")
    return _children_first(run for run in tagged if run.data.tags[STUDY_TAG] == study)


def remove(places: Places, runs: Iterable[str]) -> None:
    """Delete runs, as MLflow does it: they are hidden, and can be restored until `mlflow gc` frees their disk.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(places.tracking_uri)
    for run_id in runs:
        client.delete_run(run_id)


def freeing(places: Places) -> str:
    """Return the command that frees what deleted runs take."""
    if places.tracking_uri.startswith("http"):
        return "mlflow gc (on the machine of the MLflow server)"
    return f"mlflow gc --backend-store-uri {masked(places.tracking_uri)}"


def _children_first(runs: Iterable[Run]) -> list[str]:
    ordered = sorted(runs, key=lambda run: TRIAL_TAG not in run.data.tags)
    return [str(run.info.run_id) for run in ordered]
