"""Finding a study's runs in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.places import Places
from experiments.tracking.schema import OBJECTIVE_TAG, PARENT_TAG, STUDY_TAG, TRIAL_TAG, of_study
from experiments.tracking.store import open_client

if TYPE_CHECKING:
    from mlflow.entities import Run


def best_runs(places: Places, study: str, most: int) -> Sequence[Run]:
    """Return the runs of a study's best trials, the best first; a home without a store has none and gets none."""
    if not _exists(places):
        return []
    client = open_client(places.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    parents = client.search_runs(experiments, f"{of_study(study)} AND tags.`{OBJECTIVE_TAG}` LIKE '%'")
    objectives = [run.data.tags[OBJECTIVE_TAG] for run in parents if run.data.tags[STUDY_TAG] == study]
    if not objectives:
        return []
    way = "DESC" if objectives[0].startswith("maximize") else "ASC"
    runs: list[Run] = []
    for state in ("complete", "pruned"):  # a pruned trial's value is of fewer epochs: it only fills up the rest
        runs += client.search_runs(
            experiments,
            f"{of_study(study)} AND tags.`assay.state` = '{state}' AND tags.`{TRIAL_TAG}` LIKE '%'",
            order_by=[f"metrics.value {way}"],
            max_results=most,
        )
    return [run for run in runs if run.data.tags[STUDY_TAG] == study][:most]


def study_names(places: Places) -> list[str]:
    """Return the names of all studies in the store."""
    if not _exists(places):
        return []
    client = open_client(places.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`{STUDY_TAG}` LIKE '%'", max_results=1000)
    return sorted({run.data.tags[STUDY_TAG] for run in runs if PARENT_TAG not in run.data.tags})


def _exists(places: Places) -> bool:
    return places.tracking_uri != places.home.tracking or (places.home.path / "mlflow.db").exists()
