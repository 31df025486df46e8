"""A study as Optuna has it: what Assay keeps with its trials, and how one is read and settled."""

from __future__ import annotations

import datetime
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from assay.models.errors import RequestError
from assay.models.seeding import trial_seed
from assay.search.events import State, TrialEnded
from assay.search.space import Configuration
from assay.search.storage.postgresql import SUPERVISOR, SharedStorage
from assay.search.workers.protocol import Trial

# What makes a study that study: what all its trials must share to be comparable.


def check_fingerprint(
    study: str, known: Mapping[str, Any] | None, asked: Mapping[str, Any]
) -> None:
    """Compare a study's identity, as it was stored, with the one that is asked for.

    Raises:
        RequestError: they differ: trials of the two could not be compared. The message names every
            difference.
    """
    differences = list(_differences(known or {}, json.loads(json.dumps(asked))))
    if differences:
        raise RequestError(
            f"study {study!r} was made with {'; '.join(differences)}: "
            "ask for the same, or give the new one a name with --study NAME."
        )


def _differences(known: Any, asked: Any, name: Sequence[str] = ()) -> Iterator[str]:
    if isinstance(known, dict) and isinstance(asked, dict):
        for key in sorted({*known, *asked}):
            yield from _differences(known.get(key), asked.get(key), [*name, key])
    elif known != asked:
        yield f"{' '.join(name)} = {_shown(known)}, this asks for {_shown(asked)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


SEED = "assay.seed"
STATE = "assay.state"
ORIGIN = "assay.origin"
ATTEMPT = "assay.attempt"
RETRY_OF = "assay.retry_of"
REDO_OF = "assay.redo_of"
BASELINE = "assay.baseline"
"""Whether it is a baseline, or one tried again: what all others are compared with is never
pruned.
"""
FINGERPRINT = "assay.identity"  # its name in studies that exist
STUDY_ID = "assay.study_id"
OPENINGS = "assay.openings"
"""How often a shared study was opened: each time its sampler draws something else."""

INTERRUPTED = "failed: interrupted"
CRASHED = "failed: crashed"
STATES: Mapping[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_CLAIM_SECONDS = 60.0
"""A running trial that says not whose it is and began longer ago was not begun by Assay, or by an
earlier release.
"""


def load_study_record(storage: optuna.storages.BaseStorage, name: str) -> StudyRecord | None:
    """Return the study of a name, to be read; None if there is none."""
    try:
        return StudyRecord(
            optuna.load_study(
                study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler()
            )
        )
    except KeyError:
        return None


class StudyRecord:
    """A study that is there.

    Args:
        study: loaded from a storage that nobody else writes, or from one that is made for it.

    Attributes:
        seed: where every trial's seed follows from.
        study_id: tells it from others of its name; empty if Assay has not run it yet.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self.seed: int = study.user_attrs.get(SEED, 0)
        self.study_id: str = study.user_attrs.get(STUDY_ID, "")

    @property
    def fingerprint(self) -> Mapping[str, Any] | None:
        """What its trials share; None if Assay has not run it yet."""
        return self.study.user_attrs.get(FINGERPRINT)

    def check(self, asked: Mapping[str, Any]) -> None:
        """See that trials of this identity can be added to it.

        Raises:
            RequestError: they could not be compared with those that it has.
        """
        if self.fingerprint is not None or self.study.get_trials(deepcopy=False):
            check_fingerprint(self.study.study_name, self.fingerprint, asked)

    @property
    def is_shared(self) -> bool:
        """Whether other supervisors may be at work on it."""
        return isinstance(self.study._storage, SharedStorage)

    def is_of(self, supervisors: Container[str], trial: FrozenTrial) -> bool:
        """Return whether a trial was taken by one of these supervisors, or nobody knows by whom."""
        whose = trial.user_attrs.get(SUPERVISOR)
        return not self.is_shared or whose is None or whose in supervisors

    def left_running(self, supervisors: Container[str] = ()) -> list[FrozenTrial]:
        """Return the trials that these supervisors, which have died, left in the middle.

        In a study that nobody shares all are theirs that run.
        """
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [
            trial
            for trial in running
            if self.is_of(supervisors, trial) and not self._is_just_begun(trial)
        ]

    def _is_just_begun(self, trial: FrozenTrial) -> bool:
        if not self.is_shared or SUPERVISOR in trial.user_attrs or trial.datetime_start is None:
            return False
        return (datetime.datetime.now() - trial.datetime_start).total_seconds() < _CLAIM_SECONDS

    def settle(self, left: FrozenTrial, end: TrialEnded) -> None:
        """Record the end of a trial that an earlier supervisor left in the middle."""
        # No public call of a study sets an attribute of a trial that is not this process's own.
        self.study._storage.set_trial_user_attr(left._trial_id, STATE, end.label)
        self.write_end(end)

    def write_end(self, end: TrialEnded) -> None:
        """Give a running trial its final state and values."""
        self.study.tell(
            end.trial,
            values=end.values if end.state == "complete" else None,
            state=STATES[end.state],
            skip_if_finished=True,
        )

    def trial(self, number: int) -> FrozenTrial:
        """Return all that is known of a trial."""
        storage = self.study._storage
        return storage.get_trial(
            storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)
        )

    def as_asked(self, known: FrozenTrial) -> Trial:
        """Return a trial as it was asked for, as far as was written before somebody died."""
        return self.trial_of(known.number, self.searched(known), known.user_attrs)

    def trial_of(self, number: int, searched: Configuration, attributes: dict[str, Any]) -> Trial:
        """Return a trial with what its attributes say."""
        return Trial(
            number,
            searched,
            seed=attributes.get(SEED, trial_seed(self.seed, number)),
            origin=attributes.get(ORIGIN, "unknown"),
            attempt=attributes.get(ATTEMPT, 1),
            retry_of=attributes.get(RETRY_OF),
        )

    def searched(self, trial: FrozenTrial) -> Configuration:
        """Return what a trial's parameters mean: Optuna has texts for choices that are lists."""
        return {name: _meant(value) for name, value in trial.params.items()}


def _meant(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value
