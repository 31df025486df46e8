"""Finding a study's runs in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.places import Places
from experiments.tracking.schema import OBJECTIVE_TAG, PARENT_TAG, STUDY_ID_TAG, STUDY_TAG, TRIAL_TAG
from experiments.tracking.store import open_client
from search.objective import Objectives

if TYPE_CHECKING:
    from mlflow.entities import Run


def best_runs(places: Places, study: str, most: int) -> Sequence[Run]:
    """Return the runs of a study's best trials, the best first; a home without a store has none and gets none."""
    if not _exists(places):
        return []
    client = open_client(places.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    named = client.search_runs(experiments, f"{_named(study)} AND tags.`{OBJECTIVE_TAG}` LIKE '%'")
    parent = next((run for run in named if run.data.tags[STUDY_TAG] == study), None)  # the newest comes first
    if parent is None:
        return []
    # With several objectives there is no one value: the first of them ranks the trials.
    goals = Objectives.read(parent.data.tags[OBJECTIVE_TAG].split(", "))
    metric = "value" if goals.single is not None else goals.each[0].metric
    way = "DESC" if goals.each[0].direction == "maximize" else "ASC"
    of_study = f"tags.`{STUDY_ID_TAG}` = '{parent.data.tags[STUDY_ID_TAG]}' AND tags.`{TRIAL_TAG}` LIKE '%'"
    runs: list[Run] = []
    for state in ("complete", "pruned"):  # a pruned trial's value is of fewer epochs: it only fills up the rest
        runs += client.search_runs(
            experiments,
            f"{of_study} AND tags.`assay.state` = '{state}'",
            order_by=[f"metrics.`{metric}` {way}"],
            max_results=most,
        )
    return runs[:most]


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


def _named(study: str) -> str:
    """Return the filter for runs of studies of a name. It may let others through: compare the tag of what it finds.

    MLflow's filter language has no way to write a single quote inside a text, so there any character matches.
    """
    if "'" not in study:
        return f"tags.`{STUDY_TAG}` = '{study}'"
    pattern = study.replace("'", "_")
    return f"tags.`{STUDY_TAG}` LIKE '{pattern}'"
