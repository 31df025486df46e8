"""Storage on PostgreSQL, in which several supervisors may work on one study.

A running trial has the id of its supervisor: the transaction that sets a trial to RUNNING writes
the id too. So every running trial has a known owner, even if its supervisor died or lost its
connection. Steps that no other supervisor may disturb are taken under an advisory lock, which
PostgreSQL releases when the connection ends.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import optuna
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.models.errors import SearchError
from assay.search import optuna_compat
from assay.search.storage.retrying import RetryingStorage
from assay.search.storage.stored_values import SUPERVISOR

_FIRST_POLL_SECONDS = 0.002
_MAX_POLL_SECONDS = 0.1
_LOCK_TIMEOUT_SECONDS = 600.0

_Result = TypeVar("_Result")


class SharedStorage(RetryingStorage):
    """Passes every call on to a PostgreSQL database that other supervisors write too.

    Args:
        database: where the studies lie.
        name: name of the database for messages, without its password.
        retry_seconds: how long one call waits for a server that is away.

    Attributes:
        supervisor: id of the supervisor, for the trials that are begun through this storage.

    Example:
        >>> storage = open_storage("postgresql+psycopg://ann:s3cret@db/optuna")
        >>> with storage.locked("digits-mlp"):  # no other supervisor asks for a trial meanwhile
        ...     trial = study.ask()
    """

    def __init__(
        self, database: optuna.storages.RDBStorage, name: str, retry_seconds: float
    ) -> None:
        super().__init__(database, name, retry_seconds)
        self._is_optuna_supported = optuna_compat.is_supported()
        if self._is_optuna_supported:
            # Optuna's cache of finished trials, which are then not read again.
            self._database = optuna.storages.get_storage(database)
        self._is_in_locked_run = False
        self.supervisor = ""

    @contextmanager
    def locked(self, study: str) -> Iterator[None]:
        """Hold the advisory lock of a study.

        The lock is lost with the connection, unnoticed; `run_locked` notices it.
        """
        with contextlib.ExitStack() as stack:
            self._attempt(
                lambda: stack.enter_context(
                    advisory_lock(self._engine, f"study {study}", self.should_stop)
                )
            )
            yield

    def run_locked(self, study: str, body: Callable[[], _Result]) -> _Result:
        """Return the result of a function that is called under the lock of a study.

        Args:
            study: name of the study.
            body: called again, under a new lock, if the connection is lost; then it must do what
                is left undone.
        """
        while True:
            with self.locked(study):
                self._is_in_locked_run = True
                try:
                    return body()
                except _LockLostError:
                    continue
                finally:
                    self._is_in_locked_run = False

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; a running one has its supervisor's id from the beginning."""
        template = (
            create_trial(state=TrialState.RUNNING)
            if template_trial is None
            else copy.copy(template_trial)
        )
        if template.state == TrialState.RUNNING:
            template.user_attrs = {**template.user_attrs, SUPERVISOR: self.supervisor}
        return super().create_new_trial(study_id, template)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state of a trial, and its values; RUNNING together with its supervisor's id.

        Returns:
            Whether the state could be set; not for a trial that another supervisor has begun.
        """
        if state != TrialState.RUNNING:
            return super().set_trial_state_values(trial_id, state, values)
        if not self._is_optuna_supported:
            return self._claim_in_steps(trial_id)
        return self._attempt(lambda: self._claim(trial_id))

    def _claim(self, trial_id: int) -> bool:
        """Set a waiting trial to RUNNING, with this supervisor's id; return whether it is ours.

        It is one transaction, which Optuna has no call for: it writes Optuna's tables.
        """
        from optuna.storages._rdb import models  # here: another release may not have this module

        trials, attributes = models.TrialModel, models.TrialUserAttributeModel
        is_waiting = (trials.trial_id == trial_id) & (trials.state == TrialState.WAITING)
        is_supervisor = (attributes.trial_id == trial_id) & (attributes.key == SUPERVISOR)
        value = f'"{self.supervisor}"'  # as JSON
        with self._engine.begin() as connection:
            begun = {"state": TrialState.RUNNING, "datetime_start": datetime.datetime.now()}
            update = sqlalchemy.update(trials).where(is_waiting).values(begun)
            if connection.execute(update).rowcount:
                row = {"trial_id": trial_id, "key": SUPERVISOR, "value_json": value}
                connection.execute(sqlalchemy.insert(attributes).values(row))
                return True
            # An earlier attempt may have claimed it before its connection broke.
            known = sqlalchemy.select(attributes.value_json).where(is_supervisor)
            return bool(connection.scalar(known) == value)

    def _claim_in_steps(self, trial_id: int) -> bool:
        """Set a waiting trial to RUNNING, then write this supervisor's id, by Optuna's own calls.

        A death in between leaves a running trial without an id. Recovery in any supervisor settles
        it after a minute (`StudyRecord.stale_trials`).
        """
        if not super().set_trial_state_values(trial_id, TrialState.RUNNING):
            return False
        try:
            super().set_trial_user_attr(trial_id, SUPERVISOR, self.supervisor)
        except UpdateFinishedTrialError:  # the server was away for longer than that minute
            return False
        return True

    def _on_connection_lost(self, cause: BaseException) -> None:
        """Stop a function that runs under a lock, which may be lost too."""
        if self._is_in_locked_run:
            raise _LockLostError from cause


class _LockLostError(Exception):
    """The connection broke under a lock; the lock may be lost too."""


@contextmanager
def advisory_lock(
    engine: sqlalchemy.Engine, what: str, should_stop: Callable[[], object] = lambda: False
) -> Iterator[None]:
    """Hold an advisory lock of a PostgreSQL database.

    Args:
        engine: the database.
        what: name of the lock.
        should_stop: called while waiting; the wait ends when it returns true.

    Raises:
        SearchError: the lock could not be acquired in time.
    """
    key = int.from_bytes(hashlib.sha256(f"assay {what}".encode()).digest()[:8], signed=True)
    with contextlib.closing(
        engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    ) as connection:
        give_up_at, pause = time.monotonic() + _LOCK_TIMEOUT_SECONDS, _FIRST_POLL_SECONDS
        # Polled: a call that waits in the database could not be stopped.
        while not connection.scalar(sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(key))):
            if should_stop() or time.monotonic() > give_up_at:
                raise SearchError(f"another supervisor is busy with {what}: try again in a moment.")
            time.sleep(pause)
            pause = min(2 * pause, _MAX_POLL_SECONDS)
        try:
            yield
        finally:
            try:
                connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(key)))
            except sqlalchemy.exc.SQLAlchemyError:
                connection.invalidate()  # closes the connection, and the lock with it
