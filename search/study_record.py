"""Study in Optuna's storage: its attributes, its trials, and what earlier supervisors left."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from assay.models.errors import DamagedFile, RequestError
from assay.models.seeding import trial_seed
from assay.search.events import INTERRUPTED_LABEL, State, TrialEnded
from assay.search.objective import Objectives, ParetoFront, Values
from assay.search.space import Configuration
from assay.search.storage.postgresql import SharedStorage
from assay.search.storage.stored_values import (
    ATTEMPT,
    FINGERPRINT,
    ORIGIN,
    RETRY_OF,
    SEED,
    STATE,
    STUDY_ID,
    SUPERVISOR,
)
from assay.search.workers.protocol import Trial

STATES: Mapping[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def count_states(trials: Iterable[FrozenTrial]) -> dict[str, int]:
    """Return how many trials are complete, pruned, failed and interrupted.

    An interrupted trial is no failure: the next sweep redoes it.
    """
    counts = dict.fromkeys((*STATES, "interrupted"), 0)
    names = {state: name for name, state in STATES.items()}
    for trial in trials:
        if trial.state in names:
            is_interrupted = trial.user_attrs.get(STATE) == INTERRUPTED_LABEL
            counts["interrupted" if is_interrupted else names[trial.state]] += 1
    return counts


# In a shared study: a trial that runs for longer without a supervisor's id will not get one. Plain
# Optuna or an earlier release of Assay has begun it.
_CLAIM_SECONDS = 60.0

_INTEGER_RANGE = re.compile(r"-?\d+ to -?\d+($|,)")


def load_study_record(storage: BaseStorage, name: str) -> StudyRecord | None:
    """Return the study of this name; None if there is none.

    Example:
        >>> record = load_study_record(open_storage("sqlite:///mlruns/optuna.db"), "digits-mlp")
        >>> record.best_trials()
        {17: (0.9861,)}
    """
    try:
        # No trial is asked of this object, so the sampler need not be the study's.
        sampler = optuna.samplers.RandomSampler()
        study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    except KeyError:
        return None
    return StudyRecord(study, storage)


class StudyRecord:
    """A study in a storage, and what its attributes say of trials.

    Args:
        study: the study.
        storage: the storage that it was loaded from. Unless it is a `SharedStorage`, no other
            process may write the study.

    Attributes:
        seed: random seed of the study; trial seeds are derived from it.
        study_id: tells the study from others of the same name; empty if Assay has not run it.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage) -> None:
        self.study = study
        self._storage = storage
        self.seed: int = study.user_attrs.get(SEED, 0)
        self.study_id: str = study.user_attrs.get(STUDY_ID, "")

    @property
    def fingerprint(self) -> Mapping[str, Any] | None:
        """The study fingerprint; None if Assay has not run the study."""
        return self.study.user_attrs.get(FINGERPRINT)

    def check_fingerprint(self, requested: Mapping[str, Any]) -> None:
        """Check that trials of this fingerprint can be added to the study.

        Raises:
            RequestError: they could not be compared with its trials.
        """
        if self.fingerprint is not None or self.study.get_trials(deepcopy=False):
            compare_fingerprints(self.study.study_name, self.fingerprint, requested)

    @property
    def is_shared(self) -> bool:
        """Whether other supervisors may work on the study."""
        return isinstance(self._storage, SharedStorage)

    def belongs_to(self, supervisors: Container[str], trial: FrozenTrial) -> bool:
        """Return whether a trial may belong to one of these supervisors."""
        supervisor = trial.user_attrs.get(SUPERVISOR)
        # Trials of earlier releases have no id.
        return not self.is_shared or supervisor is None or supervisor in supervisors

    def stale_trials(self, supervisors: Container[str] = ()) -> list[FrozenTrial]:
        """Return the trials that are RUNNING although their supervisor has died.

        Args:
            supervisors: supervisors that have died. In a study that is not shared every RUNNING
                trial is stale.
        """
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [
            trial
            for trial in running
            if self.belongs_to(supervisors, trial) and not self._is_just_begun(trial)
        ]

    def _is_just_begun(self, trial: FrozenTrial) -> bool:
        """Return whether a trial may be about to get the id of its supervisor."""
        if not self.is_shared or SUPERVISOR in trial.user_attrs or trial.datetime_start is None:
            return False
        return (datetime.datetime.now() - trial.datetime_start).total_seconds() < _CLAIM_SECONDS

    def settle_trial(self, stale: FrozenTrial, end: TrialEnded) -> None:
        """Record the end of a trial that another process has begun."""
        # `Trial.set_user_attr` would need the object of the process that has begun the trial.
        self._storage.set_trial_user_attr(self._trial_id(stale.number), STATE, end.label)
        self.write_end(end)

    def write_end(self, end: TrialEnded) -> None:
        """Set the final state and the values of a running trial."""
        self.study.tell(
            end.trial,
            # Optuna takes the value of a pruned trial from its last epoch, and a failed one has
            # none.
            values=end.values if end.state == "complete" else None,
            state=STATES[end.state],
            # Recovery may do this a second time.
            skip_if_finished=True,
        )

    def get_trial(self, number: int) -> FrozenTrial:
        """Return a trial by its number, without reading all the others."""
        return self._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        study_id = self._storage.get_study_id_from_name(self.study.study_name)
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def restore_trial(self, frozen: FrozenTrial) -> Trial:
        """Return a trial as the storage has it."""
        return self._make_trial(frozen.number, self.decode_params(frozen), frozen.user_attrs)

    def _make_trial(
        self, number: int, searched: Configuration, attributes: Mapping[str, Any]
    ) -> Trial:
        return Trial(
            number,
            searched,
            seed=attributes.get(SEED, trial_seed(self.seed, number)),
            origin=attributes.get(ORIGIN, "unknown"),
            attempt=attributes.get(ATTEMPT, 1),
            retry_of=attributes.get(RETRY_OF),
        )

    def decode_params(self, frozen: FrozenTrial) -> Configuration:
        """Return the searched hyperparameters of a trial: choices that are lists are JSON there."""
        return {name: _decode_choice(value) for name, value in frozen.params.items()}

    def best_trials(self) -> Mapping[int, Values]:
        """Return the values of the best trials by number: one, or the Pareto front."""
        return best_trials_of(self.study.get_trials(deepcopy=False), objectives_of(self.study))


def _decode_choice(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:  # a text that begins with a bracket
            pass
    return value


def objectives_of(study: optuna.Study) -> Objectives:
    """Return the objectives of a study.

    A study that Assay has not run has directions only: its metrics are called "value".
    """
    texts = study.user_attrs.get(FINGERPRINT, {}).get("objectives")
    if texts is None:
        directions = [direction.name.lower() for direction in study.directions]
        suffixes = (
            [f"_{index}" for index in range(len(directions))] if len(directions) > 1 else [""]
        )
        texts = [
            f"{direction} value{suffix}"
            for direction, suffix in zip(directions, suffixes, strict=True)
        ]
    return Objectives.read(texts)


def best_trials_of(trials: Iterable[FrozenTrial], objectives: Objectives) -> dict[int, Values]:
    """Return the values of the best trials, by trial number.

    They are ordered by the first objective.

    Raises:
        DamagedFile: a complete trial lacks a value, or has one too many.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    for trial in complete:
        if len(trial.values or ()) != len(objectives.each):
            raise DamagedFile(
                f"a complete trial must have a value of each objective, {len(objectives.each)} in "
                f"all: trial {trial.number} has {len(trial.values or ())}; restore the storage "
                "from a backup, or choose another with --storage."
            )
    values = {trial.number: tuple(trial.values) for trial in complete}
    return ParetoFront(objectives, values).ranked()


def compare_fingerprints(
    study: str,
    known: Mapping[str, Any] | None,
    requested: Mapping[str, Any],
    otherwise: str = "ask for the same, or give the new one a name with --study NAME",
) -> None:
    """Compare the stored fingerprint of a study with the requested one.

    Args:
        study: name of the study.
        known: the stored one.
        requested: the requested one.
        otherwise: what the user can do if they differ.

    Raises:
        RequestError: they differ; the message names every difference.
    """
    # The stored one has been through JSON, which has no tuples.
    differences = list(_differences(known or {}, json.loads(json.dumps(requested))))
    if differences:
        raise RequestError(f"study {study!r} was made with {'; '.join(differences)}: {otherwise}.")


def _differences(known: Any, requested: Any, path: Sequence[str] = ()) -> Iterator[str]:
    if list(path) == ["code"]:
        yield from _code_differences(known, requested)
    elif isinstance(known, dict) and isinstance(requested, dict):
        for key in sorted({*known, *requested}):
            yield from _differences(known.get(key), requested.get(key), [*path, key])
    elif known != requested:
        text = f"{' '.join(path)} = {_shown(known)}, this asks for {_shown(requested)}"
        # An earlier release drew whole numbers for a real setting whose bounds were whole.
        is_same_range = path[:1] == ["space"] and _with_real_numbers(known) == requested
        yield f"{text} (whole numbers then, real numbers now)" if is_same_range else text


def _with_real_numbers(distribution: Any) -> str | None:
    """Return the text of a range of integers as that of the same range of reals."""
    if not isinstance(distribution, str) or not _INTEGER_RANGE.match(distribution):
        return None
    head, *when = distribution.split(", when ", maxsplit=1)
    return ", when ".join([re.sub(r"-?\d+", lambda found: f"{float(found[0])!r}", head), *when])


def _code_differences(known: Any, requested: Any) -> Iterator[str]:
    """Yield what differs between two records of the user's files: digests by name."""
    if isinstance(known, str) and isinstance(requested, dict):
        # Earlier releases compared one file alone.
        yield (
            "a release that compared only the factory's own file, so that a change of its other "
            "files can't be ruled out"
        )
        return
    before, now = (record if isinstance(record, dict) else {} for record in (known, requested))
    for file in sorted({*before, *now}):
        if file not in now:
            yield f"{file}, which the factory does not load any more"
        elif file not in before:
            yield f"no {file}, which the factory loads now"
        elif before[file] != now[file]:
            yield f"another {file}, which has changed since"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
