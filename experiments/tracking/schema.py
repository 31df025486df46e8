"""The names under which a study lies in MLflow."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping

STUDY_TAG = "assay.study"
STUDY_ID_TAG = "assay.study_id"
"""Drawn at random when the study is made: two homes may give one name to two studies and share an
MLflow.
"""

TRIAL_TAG = "assay.trial"
OBJECTIVE_TAG = "assay.objective"
"""On the parent run: which way is better, and of which metric."""

REFUSED_TAG = "assay.refused"
"""What MLflow did not take for a run, and why: a line each."""

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: shows a run below its parent."""

BEST_TAG, PARETO_TAG = "assay.best_trial", "assay.pareto"
"""On the parent run: the best trial's number; with several objectives those of the front, by
commas.
"""

CLOSING_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""The parent run's, by how the study was closed."""

_BETWEEN_SESSIONS = " | "
_LONGEST_NAME_CHARACTERS = 250  # MLflow's own limit
_DIGEST_CHARACTERS = 8
_LONGEST_PARAM_CHARACTERS = 6000  # MLflow's own limit
_LONGEST_TAG_CHARACTERS = 8000  # MLflow's own limit
_LONGEST_TEXT_CHARACTERS = 5000  # enough of what a trial says


def status_of(label: str) -> str:
    """Return the status of the run of a trial that ended so: `complete`, `pruned` or
    `failed: REASON`.
    """
    if not label.startswith("failed"):
        return "FINISHED"
    return "KILLED" if label == "failed: interrupted" else "FAILED"


def name_text(name: str) -> str:
    """Return the name of a metric, a parameter or a tag as MLflow has it.

    It takes letters, digits and `/_.- :`, and of paths only tidy ones that lead down
    (`mlflow.utils.validation`, 3.17). In any other name what it does not take becomes `_`, and a
    digest of the name tells it from its like.
    """
    is_tidy = posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))
    if is_tidy and re.fullmatch(r"[/\w.\- :]+", name) and len(name) <= _LONGEST_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[
        :_DIGEST_CHARACTERS
    ]
    kept = re.sub(r"[^\w.\- :]", "_", name).lstrip(".")
    return f"{kept[: _LONGEST_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1]}-{digest}"


def run_name(name: str) -> str:
    """Return the name of a run as MLflow has it: a database may take no more."""
    return storable(name)[:_LONGEST_NAME_CHARACTERS]


def label_text(label: str) -> str:
    """Return how a trial ended as MLflow has it."""
    return storable(label)[:_LONGEST_TEXT_CHARACTERS]


def error_text(error: str) -> str:
    """Return an error's text as MLflow has it: its last lines say the most."""
    return storable(error)[-_LONGEST_TEXT_CHARACTERS:]


def param_text(value: object) -> str:
    """Return a hyperparameter's value as MLflow has it."""
    return storable(str(value))[:_LONGEST_PARAM_CHARACTERS]


def tag_text(value: str) -> str:
    """Return a tag's value as MLflow has it."""
    return storable(value)[:_LONGEST_TAG_CHARACTERS]


def storable(text: str) -> str:
    """Return a text that every database takes: PostgreSQL refuses the character 0, and none has
    half a character.
    """
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def joined_tags(known: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return tags that keep what earlier sessions of a study were run with, beside what this one is
    run with.
    """
    joined = {}
    for name, value in now.items():
        before = known[name].split(_BETWEEN_SESSIONS) if name in known else []
        joined[name] = _BETWEEN_SESSIONS.join(before if value in before else [*before, value])
    return joined
