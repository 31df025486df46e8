"""Pages of the MLflow UI: their addresses, and the saved view of a study.

A saved view is a tag of the experiment; MLflow lists it under "Views", and an address can name it.
It says which runs are shown, in which order, and what is plotted. The page that compares runs can't
be told what to plot: it opens with three parameters and one metric, in alphabetical order.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from assay.experiments.tracking.schema import (
    STATE_TAG,
    STUDY_ID_TAG,
    TRIAL_TAG,
    encode_name,
    encode_text,
)
from assay.search.objective import Objectives

_TRAINING = {"workflowType": "machine_learning"}
"""In an address: the view for model training, in place of that for language models."""

_VIEW_TAG = "mlflow.sharedViewState."
_LONGEST_VIEW = 5000  # the limit of older servers; that of MLflow 3.17 is 20,000
_SHOWN_RUNS = "FIRST_20_RUNS"
_CARD_PIXELS = 420


def view_id(study_id: str) -> str:
    """Return the id of a study's saved view."""
    return f"assay-{study_id}"


def view_tag(study_id: str) -> str:
    """Return the experiment's tag that holds a study's saved view."""
    return f"{_VIEW_TAG}{view_id(study_id)}"


def make_view(
    study: str, study_id: str, objectives: Objectives, searched: Sequence[str], milliseconds: int
) -> str | None:
    """Return the saved view of a study: its best trials in parallel coordinates.

    The view shows the 20 best complete trials, with the objectives and all searched
    hyperparameters.

    Args:
        study: name of the study.
        study_id: its id.
        objectives: its objectives; the first of them ranks the trials.
        searched: names of the searched hyperparameters.
        milliseconds: when the view was made, since the epoch.

    Returns:
        The value of the tag; None if the names are too long for one.
    """
    first = objectives.each[0]
    metrics = (
        ["value"]
        if objectives.single is not None
        else [encode_name(one.metric) for one in objectives.each]
    )
    params, section = [encode_name(name) for name in searched], f"{view_id(study_id)}-section"
    # What MLflow 3.17 saves (`ExperimentPageUIState` and the search facets of its UI).
    state: dict[str, Any] = {
        "searchFilter": f"tags.`{STUDY_ID_TAG}` = '{study_id}' AND tags.`{TRIAL_TAG}` LIKE '%' "
        f"AND tags.`{STATE_TAG}` = 'complete'",
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": first.direction == "minimize",
        "runsHiddenMode": _SHOWN_RUNS,
        "selectedColumns": [
            *(f"params.`{name}`" for name in params),
            *(f"metrics.`{name}`" for name in metrics),
        ],
        "compareRunSections": [
            {
                "uuid": section,
                "name": "Best trials",
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
                "columns": 1,
                "cardHeight": _CARD_PIXELS,
            }
        ],
        "compareRunCharts": [
            {
                "type": "PARALLEL",
                "uuid": f"{view_id(study_id)}-chart",
                "metricSectionId": section,
                "deleted": False,
                "isGenerated": False,
                "selectedParams": params,
                "selectedMetrics": metrics,
                "showAllRuns": False,
            }
        ],
    }
    view = {
        "name": encode_text(study),
        "createdAt": milliseconds,
        "updatedAt": milliseconds,
        "state": json.dumps(state),
    }
    text = json.dumps(view)
    return text if len(text) <= _LONGEST_VIEW else None


def view_page(experiment_id: str, study_id: str) -> str:
    """Return the path of the page that shows a study's saved view."""
    query = {"viewStateShareKey": view_id(study_id), "compareRunsMode": "CHART"}
    return _page(f"experiments/{experiment_id}/runs", query)


def comparison_page(run_ids: Sequence[str], experiment_ids: Sequence[str]) -> str:
    """Return the path of the page that compares runs."""
    query = {"runs": json.dumps(list(run_ids)), "experiments": json.dumps(list(experiment_ids))}
    return _page("compare-runs", query)


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the path of a run's page."""
    return _page(f"experiments/{experiment_id}/runs/{run_id}", {})


def artifact_page(experiment_id: str, run_id: str, artifact: str) -> str:
    """Return the path of the page that shows an artifact of a run."""
    return _page(f"experiments/{experiment_id}/runs/{run_id}/artifacts/{artifact}", {})


def model_version_page(name: str, version: int) -> str:
    """Return the path of the page of a version of a registered model."""
    return _page(f"models/{urllib.parse.quote(name, safe='')}/versions/{version}", {})


def _page(path: str, query: Mapping[str, str]) -> str:
    encoded = urllib.parse.urlencode({**query, **_TRAINING}, quote_via=urllib.parse.quote)
    return f"#/{path}?{encoded}"
