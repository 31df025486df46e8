"""Names and values as MLflow stores them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assay.models.errors import DamagedFile
from assay.search.events import StudyOpened

STUDY_TAG = "assay.study"
STUDY_ID_TAG = "assay.study_id"
"""A random id: two homes may have studies of the same name in one MLflow store."""

HOME_TAG = "assay.home"
"""On the parent run: random id of the home that records it; of several homes, joined."""

TRIAL_TAG = "assay.trial"
OBJECTIVE_TAG = "assay.objective"
"""On the parent run: directions and metrics, separated by commas."""

FINALIST_TAG = "assay.finalist"
"""On the run of a re-training: number of the trial whose configuration it trained."""

TRAINING_TAG = "assay.training"
"""On the run of a re-training: its number among those of the study."""

SPLIT_SEED_TAG = "assay.split_seed"
"""On the run of a re-training with a validation split of its own: the seed of that split."""

OPENINGS_TAG = "assay.test_set.openings"
"""On the parent run: how many times the test set was opened."""

LEADER_TAG = "assay.leader"
"""On the parent run: number of the trial whose configuration leads after finalize."""

VERDICTS_TAG = "assay.verdicts"
"""On the parent run: verdict on each other configuration by the number of its trial, as JSON."""

REGISTERED_TAG = "assay.registered"
"""On the parent run: the model version that the last finalize registered, or why there is none; see
`encode_registration`."""

OPENING_TAG = "assay.opening"
"""On a model version: which opening of the study's test set its finalize was, from 1."""

STATE_TAG = "assay.state"
ERROR_TAG = "assay.error"
PREFLIGHT_TAG = "assay.preflight"
"""On the parent run, or a single run: the record of the preflight check, as JSON."""

COMMAND_TAG = "assay.command"
"""On the parent run, or a single run: the command that was given, masked."""

SEED_OPTION_TAG = "assay.seed_option"
"""On a single run: the value of `--seed`, from which its seed is derived."""

REPRODUCES_TAG = "assay.reproduces"
"""On a single run: the run that it reproduces."""

LIKE_TAG = "assay.like"
"""On a single run: the run whose configuration it trains, with something changed."""

REFUSED_TAG = "assay.refused"
"""On a run: what MLflow does not store, or not whole, and why, one line each."""

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: the run below which its UI shows a run."""

NOTE_TAG = "mlflow.note.content"
"""MLflow's own, on the parent run: its description in Markdown; see `tracking.note`."""

MODEL_HISTORY_TAG = "mlflow.log-model.history"
"""MLflow's own, on a run with a model: the models that its UI shows on the run's page, as JSON."""

EXPERIMENT_KIND_TAG = "mlflow.experimentKind"
"""MLflow's own, on an experiment: for which work its UI shows it."""

MODEL_TRAINING = "custom_model_development"
"""Value of the experiment's kind: training of models, not applications of language models."""

BEST_TAG = "assay.best_trial"
"""On the parent run of a study with one objective: number of the best trial."""

MODEL_TAG = "assay.model"
"""On a run that should have a model: number of the trial whose model it is, or the text of
`encode_missing_model`."""

MODEL_FOLDER = "model"
"""Name of the artifact."""

PARETO_TAG = "assay.pareto"
"""On the parent run of a study with several objectives: numbers of the Pareto front."""

CLAIM_TAG = "assay.claim"
"""On the parent run: what the best value rests on, one sentence a line, or "none"."""

CHECKS_TAG = "assay.checks"
"""On the parent run: the checks of the study that fire, one a line, or "none"."""

IMPORTANCE_TAG = "assay.importance"
"""On the parent run: importance of the hyperparameters, or why none is shown, by objective."""

REPORT_TAG = "assay.report"
"""On the parent run: address of the report's page among its artifacts."""

REPORT_FOLDER = "report"
"""Folder of the report's files among the artifacts of the parent run."""

REPORT_FILE = f"{REPORT_FOLDER}/report.html"
"""The report's page among them."""

BEST_EPOCH_TAG = "assay.best_epoch"
"""On the parent run: the epoch that `best_value` is of, such as "epoch 7 of 12", or "none"."""

CLOSING_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""Status of the parent run by the closing of the study."""

SESSION_SEPARATOR = " | "
_MAX_NAME_CHARACTERS = 250  # MLflow's limit
_DIGEST_CHARACTERS = 8
_MAX_PARAM_CHARACTERS = 6000  # MLflow's limit
MAX_TAG_CHARACTERS = 8000
"""MLflow's limit."""

_MAX_TEXT_CHARACTERS = 5000  # ours, for states and errors
_MAX_DESCRIPTION_CHARACTERS = 5000  # of MLflow's column
_MAX_MODEL_NAME_CHARACTERS = 200  # ours; MLflow's column has 256
_NOTHING_REGISTERED = "none: "

_MOST_DIGITS = 18  # of a trial's number


def run_status(label: str) -> str:
    """Return the status of a trial's run.

    Args:
        label: how the trial ended: `complete`, `pruned` or `failed: REASON`.
    """
    if not label.startswith("failed"):
        return "FINISHED"
    return "KILLED" if label == "failed: interrupted" else "FAILED"


def encode_name(name: str) -> str:
    """Return the name of a metric, parameter or tag.

    MLflow accepts letters, digits and `/_.- :`, and names that are normalized relative paths
    (`mlflow.utils.validation`, 3.17). In any other name, forbidden characters become `_`, and a
    digest keeps different names different.

    Example:
        >>> encode_name("val_accuracy"), encode_name("recall@5")
        ('val_accuracy', 'recall_5-80191039')
    """
    is_path = posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))
    if is_path and re.fullmatch(r"[/\w.\- :]+", name) and len(name) <= _MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()
    kept = re.sub(r"[^\w.\- :]", "_", name).lstrip(".")
    kept = kept[: _MAX_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1]
    return f"{kept}-{digest[:_DIGEST_CHARACTERS]}"


def encode_run_name(name: str) -> str:
    """Return the name of a run, cut to its limit."""
    return encode_text(name)[:_MAX_NAME_CHARACTERS]


def encode_label(label: str) -> str:
    """Return how a trial ended, cut to our limit."""
    return encode_text(label)[:_MAX_TEXT_CHARACTERS]


def encode_param(value: object) -> str:
    """Return a hyperparameter's value, cut to MLflow's limit."""
    return encode_text(str(value))[:_MAX_PARAM_CHARACTERS]


def encode_tag(name: str, value: str) -> str:
    """Return a tag's value, cut to its limit."""
    if name == STATE_TAG:
        return encode_label(value)
    if name == ERROR_TAG:
        # From its beginning: the last lines of a traceback say the most.
        return encode_text(value)[-_MAX_TEXT_CHARACTERS:]
    return encode_text(value)[:MAX_TAG_CHARACTERS]


def encode_description(text: str) -> str:
    """Return the description of a model version, cut to MLflow's limit."""
    return encode_text(text)[:_MAX_DESCRIPTION_CHARACTERS]


def describe_cut(value: object, stored: str) -> str | None:
    """Return what is missing of a value; None if nothing is.

    Args:
        value: the value.
        stored: as `encode_param` or `encode_tag` returned it.

    Example:
        >>> describe_cut(7000 * "x", encode_param(7000 * "x"))
        'too long, only its first 6,000 of 7,000 characters are stored'
    """
    text = encode_text(str(value))
    if stored == text:
        return None
    end = "first" if text.startswith(stored) else "last"
    return f"too long, only its {end} {len(stored):,} of {len(text):,} characters are stored"


def encode_missing_model(trial: int, reason: str) -> str:
    """Return the model tag of a run that has no model of a trial."""
    return f"none of trial {trial}: {reason}"


def read_missing_model(tag: str, trial: int) -> str | None:
    """Return why a run has no model of a trial; None if its model tag is about another trial.

    Example:
        >>> read_missing_model(encode_missing_model(7, "the disk was full"), 7)
        'the disk was full'
    """
    prefix = encode_missing_model(trial, "")
    return tag.removeprefix(prefix) if tag.startswith(prefix) else None


def read_trial(tags: Mapping[str, str]) -> int | None:
    """Return the number of the trial that a run belongs to; None if it belongs to none.

    Raises:
        DamagedFile: the tag is no number.
    """
    return read_number(tags, TRIAL_TAG)


def read_number(tags: Mapping[str, str], tag: str) -> int | None:
    """Return the number that a run has in a tag; None if it has none.

    Raises:
        DamagedFile: the tag is no number.
    """
    text = tags.get(tag)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise DamagedFile(
            f"a run's tag {tag} must be a whole number: received {text!r:.40}; "
            "delete that run in MLflow."
        )
    return int(text)


def is_child(tags: Mapping[str, str]) -> bool:
    """Return whether a run is that of a trial or of a re-training, not the study's own."""
    return TRIAL_TAG in tags or TRAINING_TAG in tags


def verdicts_tag(opening: int) -> str:
    """Return the tag of a study's own run with the leader and the verdicts of an opening."""
    return f"{VERDICTS_TAG}.{opening}"


def opening_tag(opening: int) -> str:
    """Return the tag of the parent run that records an opening of the test set."""
    return f"assay.test_set.opening.{opening}"


def registered_tag(opening: int) -> str:
    """Return the tag of a study's own run with what the finalize of an opening registered."""
    return f"{REGISTERED_TAG}.{opening}"


@dataclass(frozen=True)
class RegisteredVersion:
    """A network that finalize registered, as it was then. The attributes are keys of `--json`.

    Attributes:
        name: of the registered model.
        version: number of the version.
        alias: the alias that was moved to it.
        run_id: of the training that made it.
        opening: which opening of the study's test set its finalize was, from 1.
        trial: the trial whose configuration it has.
        training: number of the training.
    """

    name: str
    version: int
    alias: str
    run_id: str
    opening: int
    trial: int
    training: int

    @property
    def uri(self) -> str:
        """Address of the model while the alias is on it, such as "models:/digits-mlp@champion"."""
        return f"models:/{self.name}@{self.alias}"

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**asdict(self), "uri": self.uri}


def encode_registration(registered: RegisteredVersion | str) -> str:
    """Return the tag about what a finalize registered, or why it registered nothing."""
    if isinstance(registered, str):
        return f"{_NOTHING_REGISTERED}{registered}"
    return json.dumps(registered.to_record())


def read_registration(tag: str) -> RegisteredVersion | str:
    """Return what a finalize registered, or why it registered nothing.

    Example:
        >>> read_registration(encode_registration("the disk was full"))
        'the disk was full'
    """
    if tag.startswith(_NOTHING_REGISTERED):
        return tag.removeprefix(_NOTHING_REGISTERED)
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError, OverflowError):
        record = json.loads(tag)
        return RegisteredVersion(
            name=str(record["name"]),
            version=int(record["version"]),
            alias=str(record["alias"]),
            run_id=str(record["run_id"]),
            opening=int(record["opening"]),
            trial=int(record["trial"]),
            training=int(record["training"]),
        )
    return f"the tag {REGISTERED_TAG} of the study's run can't be read"


def encode_model_name(study: str) -> str:
    """Return the name of a study's registered model.

    MLflow refuses `/`, `:` and names that are no normalized paths (`mlflow.utils.validation`,
    3.17); `@`, `#` and `?` mean something in the address of a model. Such characters become `_`,
    and a digest keeps different names different.

    Example:
        >>> encode_model_name("digits-mlp"), encode_model_name("who?")
        ('digits-mlp', 'who_-1d8176d1')
    """
    is_plain = re.fullmatch(r"[\w.\- ]+", study) and study.strip() == study
    is_path = study == "." or study.startswith("..")
    if is_plain and not is_path and len(study) <= _MAX_MODEL_NAME_CHARACTERS:
        return study
    digest = hashlib.sha256(study.encode("utf-8", "backslashreplace")).hexdigest()
    kept = re.sub(r"[^\w.\- ]", "_", study).strip().lstrip(".")
    kept = kept[: _MAX_MODEL_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1]
    return f"{kept}-{digest[:_DIGEST_CHARACTERS]}"


def encode_text(text: str) -> str:
    """Return a text without NUL characters and lone surrogates."""
    # PostgreSQL refuses the one, and every encoder the other.
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def merge_session_tags(stored: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """Return a session's tags, joined with earlier sessions' values.

    Of the preflight check only the latest record is kept.

    Example:
        >>> merge_session_tags({"assay.workers": "2"}, {"assay.workers": "4"})
        {'assay.workers': '2 | 4'}
    """
    merged = {}
    for name, value in current.items():
        if name == PREFLIGHT_TAG:
            merged[name] = value  # two JSON texts in one would be none; the latest counts
            continue
        values = stored[name].split(SESSION_SEPARATOR) if name in stored else []
        merged[name] = SESSION_SEPARATOR.join(values if value in values else [*values, value])
    return merged


def read_home_ids(tags: Mapping[str, str]) -> set[str]:
    """Return the ids of the homes that record a study's own run."""
    return set(tags[HOME_TAG].split(SESSION_SEPARATOR)) if HOME_TAG in tags else set()


def read_preflight(opened: StudyOpened | None) -> dict[str, Any]:
    """Return the record of the preflight check with which a study was opened.

    It is empty if it is unknown, or no JSON object.
    """
    text = "{}" if opened is None else opened.provenance.get(PREFLIGHT_TAG, "{}")
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(text)
        if isinstance(record, dict):
            return record
    return {}
