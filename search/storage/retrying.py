"""Optuna's database as it can be had: a full disk says so in one line, a server that is away is
waited for.

A call that failed for want of a connection is made again until the server is back. It may have been
carried out before the connection broke, so what is not the same when done twice is looked up first:
a new trial carries a key of its own.
"""

from __future__ import annotations

import contextlib
import copy
import time
import uuid
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

import sqlalchemy.exc
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.models.errors import SearchError
from assay.search.system.urls import scrubbed

KEY = "assay.key"
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
_LOOK_UP_SECONDS = 0.1  # how often it asks whether there is time to wait

_AWAY = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.PendingRollbackError,
)

_Result = TypeVar("_Result")


class RetryingStorage(BaseStorage):
    """Passes every call on to a database.

    Args:
        database: where studies lie.
        name: of the database, for messages, without its password.
        retry_seconds: how long one call waits for a server that is away; 0 for a file, which nobody
            brings back.

    Raises:
        SearchError: by any call: it could not be written or read, and that is not going to change
            by waiting. Whoever has waited in vain once does not wait again.

    Attributes:
        should_stop: asked while waiting: whether somebody wants the program to end, so that there
            is no time to wait.
        waiting: told once when it begins to wait.
    """

    def __init__(self, database: RDBStorage, name: str, retry_seconds: float) -> None:
        self._database: BaseStorage = database
        self._engine = database.engine
        self._name = name
        self._retry_seconds = retry_seconds
        self.should_stop: Callable[[], object] = lambda: False
        self.waiting: Callable[[str], None] = lambda note: None
        self._given_up: str | None = None

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""

        def again() -> int:
            try:
                return self._database.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                return self._database.get_study_id_from_name(str(study_name))

        return self._reach(lambda: self._database.create_new_study(directions, study_name), again)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""

        def again() -> None:
            if study_id in {study._study_id for study in self._database.get_all_studies()}:
                self._database.delete_study(study_id)

        self._reach(lambda: self._database.delete_study(study_id), again)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of a study."""
        self._reach(lambda: self._database.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's own."""
        self._reach(lambda: self._database.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        return self._reach(lambda: self._database.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._reach(lambda: self._database.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return what is better, by objective."""
        return self._reach(lambda: self._database.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes of a study."""
        return self._reach(lambda: self._database.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes of Optuna's own."""
        return self._reach(lambda: self._database.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies."""
        return self._reach(self._database.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial."""
        if self._retry_seconds == 0:
            return self._reach(lambda: self._database.create_new_trial(study_id, template_trial))
        template = (
            create_trial(state=TrialState.RUNNING)
            if template_trial is None
            else copy.copy(template_trial)
        )
        key = uuid.uuid4().hex
        template.system_attrs = {**template.system_attrs, KEY: key}

        def again() -> int:
            for trial in self._database.get_all_trials(study_id, deepcopy=False):
                if trial.system_attrs.get(KEY) == key:
                    return trial._trial_id
            return self._database.create_new_trial(study_id, template)

        return self._reach(lambda: self._database.create_new_trial(study_id, template), again)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial."""
        self._reach(
            lambda: self._database.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state of a trial, and its values; return whether it could be set.

        Of a trial that was waiting it may be unknown, after a broken connection, who has taken it:
        then it counts as taken by somebody else.
        """

        def again() -> bool:
            try:
                return self._database.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                return self._database.get_trial(trial_id).state == state

        return self._reach(
            lambda: self._database.set_trial_state_values(trial_id, state, values), again
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set what a trial reported at a step."""
        self._reach(
            lambda: self._database.set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of a trial."""
        self._reach(lambda: self._database.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's own."""
        self._reach(lambda: self._database.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self._reach(lambda: self._database.get_trial(trial_id))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the id of a trial."""
        return self._reach(
            lambda: self._database.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study."""
        return self._reach(lambda: self._database.get_all_trials(study_id, deepcopy, states))

    def remove_session(self) -> None:
        """Let go of this thread's connection."""
        self._database.remove_session()

    def close(self) -> None:
        """Let go of all connections: a server has only so many, and a garbage collector takes its
        time.
        """
        self._database.remove_session()
        self._engine.dispose()

    def _reach(
        self, call: Callable[[], _Result], again: Callable[[], _Result] | None = None
    ) -> _Result:
        """Return what a call returns; after a failure, what the other does, which knows that it may
        have been done.
        """
        give_up_at, pause = time.monotonic() + self._retry_seconds, _FIRST_PAUSE_SECONDS
        told = False
        while True:
            if self._given_up is not None:
                raise SearchError(self._given_up)
            try:
                return call()
            except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
                cause = _cause(error)
                is_away = isinstance(cause, _AWAY)
                with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                    self._database.remove_session()  # else the next call would find a transaction that is broken
                if not is_away or time.monotonic() > give_up_at or self.should_stop():
                    raise self._failure(_line(cause), is_away) from error
                self._lost(cause)
                if not told:
                    told = True
                    self.waiting(
                        f"the storage {self._name} is away ({_line(cause)}): waiting for it"
                    )
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            call = again or call

    def _lost(self, cause: BaseException) -> None:
        """Hear of a lost connection, before it is waited for the next."""

    def _failure(self, cause: str, is_away: bool) -> SearchError:
        message = (
            f"the storage {self._name} fails ({cause}): what was finished is kept, in it or in the journal; once it "
            "works again, the same command goes on from here."
        )
        if is_away and self._retry_seconds > 0:
            self._given_up = message
        return SearchError(message)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.should_stop():
            time.sleep(_LOOK_UP_SECONDS)


def _cause(error: BaseException) -> BaseException:
    """Return what SQLAlchemy says; Optuna wraps some of it."""
    return (
        error.__cause__
        if isinstance(error, StorageInternalError) and error.__cause__ is not None
        else error
    )


def _line(error: BaseException) -> str:
    if isinstance(error, sqlalchemy.exc.PendingRollbackError):
        return "the connection broke"
    lines = scrubbed(str(getattr(error, "orig", None) or error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
