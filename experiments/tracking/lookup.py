"""Finding a study's runs in MLflow."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

from experiments.places import Places
from experiments.tracking.record import PARENT_TAG, STUDY_TAG, TRIAL_TAG, quoted


def best_runs(places: Places, study: str, most: int) -> Sequence[Run]:
    """Return the runs of a study's best trials, complete or pruned, the best first."""
    client = MlflowClient(places.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    of_study = f"tags.`{STUDY_TAG}` = {quoted(study)}"
    parents = client.search_runs(experiments, f"{of_study} AND tags.`assay.objective` LIKE '%'", max_results=1)
    if not parents:
        return []
    way = "DESC" if parents[0].data.tags["assay.objective"].startswith("maximize") else "ASC"
    found = client.search_runs(
        experiments,
        f"{of_study} AND tags.`assay.state` != 'failed'",
        order_by=[f"metrics.value {way}"],
        max_results=most,
    )
    return [run for run in found if TRIAL_TAG in run.data.tags and "value" in run.data.metrics]


def study_names(places: Places) -> list[str]:
    """Return the names of all studies in the store."""
    client = MlflowClient(places.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`{STUDY_TAG}` LIKE '%'", max_results=1000)
    return sorted({run.data.tags[STUDY_TAG] for run in runs if PARENT_TAG not in run.data.tags})
