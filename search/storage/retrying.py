"""Storage that waits for a database server that is away.

A call that fails because the connection broke is repeated until the server is back. The first
attempt may have been carried out. A call that is not idempotent therefore checks this first: a new
trial, for example, carries a random key.
"""

from __future__ import annotations

import contextlib
import copy
import time
import uuid
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy
import sqlalchemy.exc
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.models.errors import SearchError
from assay.search.optuna_compat import is_supported
from assay.search.storage.stored_values import (
    check_directions,
    check_study_attributes,
    check_trials,
    read_stored,
)
from assay.search.system.urls import first_line

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy

_CREATION_KEY = "assay.key"
_FIRST_PAUSE_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 2.0
_POLL_SECONDS = 0.1  # how often a pause checks whether it is to end

# What SQLAlchemy raises if there is no connection.
_CONNECTION_ERRORS = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.PendingRollbackError,
)

_Result = TypeVar("_Result")


class RetryingStorage(BaseStorage):
    """Passes every call on to a database, and repeats it while the server is away.

    Args:
        database: where the studies lie.
        name: name of the database for messages, without its password.
        retry_seconds: how long one call waits for a server that is away; 0 for a file.

    Raises:
        DamagedFile: by a call that reads what Optuna or Assay can't have written.
        SearchError: by any other call that fails. After one call has waited in vain, all others
            fail at once.

    Attributes:
        should_stop: called while waiting; the wait ends when it returns true.
        on_wait: called with a message when a call begins to wait.

    Example:
        >>> database = optuna.storages.RDBStorage("postgresql+psycopg://ann@db/optuna")
        >>> storage = RetryingStorage(database, "optuna on db", retry_seconds=600)
    """

    def __init__(self, database: RDBStorage, name: str, retry_seconds: float) -> None:
        self._database: BaseStorage = database
        self._engine = database.engine
        self._name = name
        self._retry_seconds = retry_seconds
        self.should_stop: Callable[[], object] = lambda: False
        self.on_wait: Callable[[str], None] = lambda message: None
        self._given_up: str | None = None  # the message, once a call has waited in vain

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""

        def repeat() -> int:
            try:
                return self._database.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                return self._database.get_study_id_from_name(str(study_name))

        return self._attempt(
            lambda: self._database.create_new_study(directions, study_name), repeat
        )

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""

        def delete() -> None:
            if is_supported():
                self._delete_trials(study_id)
            self._database.delete_study(study_id)

        def repeat() -> None:
            with contextlib.suppress(KeyError):  # it is deleted already
                delete()

        self._read(delete, repeat)

    def _delete_trials(self, study_id: int) -> None:
        """Delete the trials of a study, without loading them as Optuna does: 1 ms for each.

        It writes Optuna's tables, in one transaction.
        """
        from optuna.storages._rdb import models  # here: another release may not have this module

        tables = models.BaseModel.metadata.tables.values()
        trials = models.TrialModel
        numbers = sqlalchemy.select(trials.trial_id).where(trials.study_id == study_id)
        with self._engine.begin() as connection:
            for table in tables:
                if "trial_id" in table.columns and table.name != trials.__tablename__:
                    is_of_study = table.columns["trial_id"].in_(numbers)
                    connection.execute(sqlalchemy.delete(table).where(is_of_study))
            connection.execute(sqlalchemy.delete(trials).where(trials.study_id == study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._attempt(lambda: self._database.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study."""
        self._attempt(lambda: self._database.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        return self._attempt(lambda: self._database.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._attempt(lambda: self._database.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the direction of each objective."""
        directions = self._read(lambda: self._database.get_study_directions(study_id))
        check_directions(self._name, directions)
        return directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the user attributes of a study."""
        attributes = self._read(lambda: self._database.get_study_user_attrs(study_id))
        check_study_attributes(self._name, attributes)
        return attributes

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study."""
        return self._read(lambda: self._database.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies."""
        return self._read(self._database.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial."""
        if self._retry_seconds == 0:
            return self._attempt(lambda: self._database.create_new_trial(study_id, template_trial))
        template = (
            create_trial(state=TrialState.RUNNING)
            if template_trial is None
            else copy.copy(template_trial)
        )
        key = uuid.uuid4().hex
        template.system_attrs = {**template.system_attrs, _CREATION_KEY: key}

        def repeat() -> int:
            # The first attempt may have created it before its connection broke.
            for trial in self._database.get_all_trials(study_id, deepcopy=False):
                if trial.system_attrs.get(_CREATION_KEY) == key:
                    return self._database.get_trial_id_from_study_id_trial_number(
                        study_id, trial.number
                    )
            return self._database.create_new_trial(study_id, template)

        return self._attempt(lambda: self._database.create_new_trial(study_id, template), repeat)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial."""
        self._attempt(
            lambda: self._database.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state of a trial, and its values; return whether it could be set.

        If the connection broke, this process may have set the trial to RUNNING without knowing.
        The trial then counts as another process's.
        """

        def repeat() -> bool:
            try:
                return self._database.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:  # by the first attempt, if to the same state
                return self._database.get_trial(trial_id).state == state

        return self._attempt(
            lambda: self._database.set_trial_state_values(trial_id, state, values), repeat
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set the value that a trial reported at a step."""
        self._attempt(
            lambda: self._database.set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial."""
        self._attempt(lambda: self._database.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a trial."""
        self._attempt(lambda: self._database.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        trial = self._read(lambda: self._database.get_trial(trial_id))
        check_trials(self._name, [trial])
        return trial

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the id of a trial."""
        return self._attempt(
            lambda: self._database.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study."""
        trials = self._read(lambda: self._database.get_all_trials(study_id, deepcopy, states))
        check_trials(self._name, trials)
        return trials

    def get_n_trials(
        self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None
    ) -> int:
        """Return the number of trials of a study; of all of them without reading any."""
        if state is not None or not is_supported():
            return self._read(lambda: self._database.get_n_trials(study_id, state))
        return self._read(lambda: self._count_trials(study_id))

    def _count_trials(self, study_id: int) -> int:
        from optuna.storages._rdb import models  # here: another release may not have this module

        count = sqlalchemy.select(sqlalchemy.func.count()).select_from(models.TrialModel)
        with self._engine.connect() as connection:
            found = connection.scalar(count.where(models.TrialModel.study_id == study_id))
        return int(found or 0)

    def remove_session(self) -> None:
        """Release this thread's connection."""
        self._database.remove_session()

    def close(self) -> None:
        """Close all connections: a server has only so many of them."""
        self._database.remove_session()
        self._engine.dispose()

    def _read(
        self, call: Callable[[], _Result], repeat: Callable[[], _Result] | None = None
    ) -> _Result:
        """Return the result of a call that reads; see `_attempt`.

        Raises:
            DamagedFile: Optuna can't read what the database holds.
        """
        return self._attempt(lambda: read_stored(self._name, call), repeat)

    def _attempt(
        self, call: Callable[[], _Result], repeat: Callable[[], _Result] | None = None
    ) -> _Result:
        """Return the result of a call, repeated until there is a connection.

        Args:
            call: the call.
            repeat: called in its place after a failure, for a call that may have been carried out
                and has another effect the second time.
        """
        give_up_at, pause = time.monotonic() + self._retry_seconds, _FIRST_PAUSE_SECONDS
        is_waiting = False
        while True:
            # Once a call has waited in vain, the calls that end a sweep do not wait again.
            if self._given_up is not None:
                raise SearchError(self._given_up)
            try:
                return call()
            except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
                cause = _sqlalchemy_error(error)
                is_away = isinstance(cause, _CONNECTION_ERRORS)
                # Otherwise the next call would find this one's broken transaction.
                with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                    self._database.remove_session()
                if not is_away or time.monotonic() > give_up_at or self.should_stop():
                    raise self._failure(describe_error(cause), is_away) from error
                self._on_connection_lost(cause)
                if not is_waiting:
                    is_waiting = True
                    self.on_wait(
                        f"the storage {self._name} is away ({describe_error(cause)}): "
                        "waiting for it"
                    )
            self._sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            call = repeat or call

    def _on_connection_lost(self, cause: BaseException) -> None:
        """Do nothing: a storage with locks loses them with the connection."""

    def _failure(self, cause: str, is_away: bool) -> SearchError:
        message = (
            f"the storage {self._name} fails ({cause}): what was finished is kept, in it or in the "
            "journal; once it works again, the same command goes on from here."
        )
        if is_away and self._retry_seconds > 0:
            self._given_up = message
        return SearchError(message)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.should_stop():
            time.sleep(_POLL_SECONDS)


def _sqlalchemy_error(error: BaseException) -> BaseException:
    """Return SQLAlchemy's error behind one of Optuna's."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


def describe_error(error: BaseException) -> str:
    """Return in one line, without secrets, what is wrong with a database."""
    if isinstance(error, sqlalchemy.exc.PendingRollbackError):
        return "the connection broke"
    return first_line(getattr(error, "orig", None) or error)
