"""The names under which a study lies in MLflow."""

from __future__ import annotations

STUDY_TAG = "assay.study"
TRIAL_TAG = "assay.trial"
PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: shows a run below its parent."""


def quoted(text: str) -> str:
    """Return a text as a literal of MLflow's filter language, which escapes a quote by doubling it."""
    return "'" + text.replace("'", "''") + "'"
