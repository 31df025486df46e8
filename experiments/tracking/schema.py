"""The names under which a study lies in MLflow."""

from __future__ import annotations

STUDY_TAG = "assay.study"
TRIAL_TAG = "assay.trial"
OBJECTIVE_TAG = "assay.objective"
"""On the parent run: which way is better, and of which metric."""

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: shows a run below its parent."""


def of_study(study: str) -> str:
    """Return the filter for a study's runs. It may let a few others through: compare the tag of what it finds.

    MLflow's filter language has no way to write a single quote inside a text, so there any character matches.
    """
    if "'" not in study:
        return f"tags.`{STUDY_TAG}` = '{study}'"
    pattern = study.replace("'", "_")
    return f"tags.`{STUDY_TAG}` LIKE '{pattern}'"
