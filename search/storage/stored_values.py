"""Values of a storage that Assay reads, in the form in which it wrote them.

A storage may have been changed by hand, or copied from another user. The rest of the package relies
on what is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from assay.models.errors import DamagedFile

# User attributes of trials. Their names are in the databases of existing studies.
SEED = "assay.seed"
STATE = "assay.state"
ORIGIN = "assay.origin"
ATTEMPT = "assay.attempt"
RETRY_OF = "assay.retry_of"
REDO_OF = "assay.redo_of"
BASELINE = "assay.baseline"
"""Whether a trial is a baseline, or a redo or retry of one. Such trials are never pruned."""

SUPERVISOR = "assay.supervisor"
"""Id of the supervisor that a trial belongs to, in a storage that several share."""

# User attributes of studies.
FINGERPRINT = "assay.identity"
STUDY_ID = "assay.study_id"
OPENINGS = "assay.openings"
"""How often a shared study was opened: each time its sampler draws from another seed."""

SAMPLERS = "assay.samplers"
"""Names of the samplers that a study was opened with."""

UNKNOWN_SAMPLER = "unknown"
"""Among them, of a study that an earlier release has opened."""

_STUDY_ATTRIBUTES: Mapping[str, type] = MappingProxyType(
    {SEED: int, STUDY_ID: str, FINGERPRINT: dict, OPENINGS: int, SAMPLERS: list}
)
_TRIAL_ATTRIBUTES: Mapping[str, type] = MappingProxyType(
    {
        **{SEED: int, STATE: str, ORIGIN: str, ATTEMPT: int, RETRY_OF: int, REDO_OF: int},
        **{BASELINE: bool, SUPERVISOR: str},
    }
)
# What Optuna raises for content that it did not write.
_DAMAGE = (
    *(ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError),
    ArithmeticError,  # an infinite value of an integer
)
_MAY_BE_NULL = {RETRY_OF, REDO_OF}
# What Optuna says of a study or a trial that does not exist (`optuna.storages._rdb.models`, 5.0).
_NOT_FOUND = "Record does not exist."

_Result = TypeVar("_Result")


def read_stored(name: str, read: Callable[[], _Result]) -> _Result:
    """Return what a storage has.

    Args:
        name: name of the storage, for the message.
        read: reads it with Optuna.

    Raises:
        DamagedFile: Optuna can't read it.
        KeyError: there is no such study or trial.
    """
    try:
        return read()
    except _DAMAGE as error:
        if isinstance(error, KeyError) and error.args[:1] == (_NOT_FOUND,):
            raise
        raise _damaged(name, f"{type(error).__name__}: {error}") from error


def check_directions(name: str, directions: Sequence[StudyDirection]) -> None:
    """Check that a study has directions.

    Raises:
        DamagedFile: it has none.
    """
    if not directions:
        raise _damaged(name, "a study without directions")


def check_study_attributes(name: str, attributes: Mapping[str, Any]) -> None:
    """Check the attributes of a study that Assay sets.

    Raises:
        DamagedFile: one has another type.
    """
    _check_types(name, "a study", attributes, _STUDY_ATTRIBUTES)
    objectives = attributes.get(FINGERPRINT, {}).get("objectives")
    if objectives is not None and not (
        isinstance(objectives, list) and all(isinstance(text, str) for text in objectives)
    ):
        raise _damaged(name, f"a study with the objectives {objectives!r:.60}")
    samplers = attributes.get(SAMPLERS, [])
    if not all(isinstance(text, str) for text in samplers):
        raise _damaged(name, f"a study with the samplers {samplers!r:.60}")


def check_trials(name: str, trials: Iterable[FrozenTrial]) -> None:
    """Check the numbers, values and attributes of trials.

    Raises:
        DamagedFile: one has another type, or a complete trial has no value.
    """
    for trial in trials:
        if type(trial.number) is not int or trial.number < 0:
            raise _damaged(name, f"a trial with the number {trial.number!r:.60}")
        values = trial.values or ()
        if not all(type(value) in (int, float) for value in values):
            raise _damaged(name, f"trial {trial.number} with the values {values!r:.60}")
        if trial.state == TrialState.COMPLETE and not values:
            raise _damaged(name, f"trial {trial.number}, which is complete and has no value")
        _check_types(name, f"trial {trial.number}", trial.user_attrs, _TRIAL_ATTRIBUTES)


def _check_types(
    name: str, owner: str, attributes: Mapping[str, Any], types: Mapping[str, type]
) -> None:
    for key, kind in types.items():
        value = attributes.get(key, kind())
        if type(value) is not kind and not (value is None and key in _MAY_BE_NULL):
            raise _damaged(name, f"{owner} with {key} = {value!r:.60}")


def _damaged(name: str, found: str) -> DamagedFile:
    line = " ".join(found.split())[:200]
    return DamagedFile(
        f"the storage {name} must have what Optuna and Assay have written: received {line}; "
        "restore it from a backup, or choose another with --storage."
    )
