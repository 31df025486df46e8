"""Optuna's storage on PostgreSQL, where several supervisors may be at work on one study.

Every trial says from the moment it runs whose it is: what makes it RUNNING writes that in the same
transaction, so that nobody who dies, or loses the connection, leaves a trial of which it is not
known. Whoever must not be disturbed takes a turn: an advisory lock of PostgreSQL, which dies with
its connection.
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
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.models.errors import SearchError
from assay.search.storage.retrying import RetryingStorage

SUPERVISOR = "assay.supervisor"
_FIRST_LOOK_SECONDS = 0.002
_LONGEST_LOOK_SECONDS = 0.1
_LONGEST_TURN_SECONDS = 600.0

_Result = TypeVar("_Result")


class SharedStorage(RetryingStorage):
    """Passes every call on to a PostgreSQL database that others write too.

    Args:
        database: where studies lie.
        name: of the database, for messages, without its password.
        retry_seconds: how long one call waits for a server that is away.

    Attributes:
        supervisor: what trials that are begun through this storage are known by.
    """

    def __init__(
        self, database: optuna.storages.RDBStorage, name: str, retry_seconds: float
    ) -> None:
        super().__init__(database, name, retry_seconds)
        # With Optuna's own memory of finished trials, which need not be fetched again.
        self._database = optuna.storages.get_storage(database)
        self._rerunning = False
        self.supervisor = ""

    @contextmanager
    def locked(self, study: str) -> Iterator[None]:
        """Within, no other supervisor has a turn at the study; one that loses its connection may
        lose it too.
        """
        with contextlib.ExitStack() as stack:
            self._reach(
                lambda: stack.enter_context(
                    advisory_lock(self._engine, f"study {study}", self.should_stop)
                )
            )
            yield

    def run_locked(self, study: str, body: Callable[[], _Result]) -> _Result:
        """Return what a function returns that is called in a turn; once more, in another, if the
        connection is lost.

        Args:
            study: the study's name.
            body: called a second time, it does what the first has left undone.
        """
        while True:
            with self.locked(study):
                self._rerunning = True
                try:
                    return body()
                except _LockLostError:
                    continue
                finally:
                    self._rerunning = False

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; one that runs at once says whose it is."""
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
        """Set the state of a trial, and its values; one that was waiting and runs from now on says
        whose it is.
        """
        if state != TrialState.RUNNING:
            return super().set_trial_state_values(trial_id, state, values)
        return self._reach(lambda: self._claim(trial_id))

    def _claim(self, trial_id: int) -> bool:
        trials, attributes = models.TrialModel, models.TrialUserAttributeModel
        waits = (trials.trial_id == trial_id) & (trials.state == TrialState.WAITING)
        whose = (attributes.trial_id == trial_id) & (attributes.key == SUPERVISOR)
        claim = f'"{self.supervisor}"'
        with self._engine.begin() as connection:
            begun = {"state": TrialState.RUNNING, "datetime_start": datetime.datetime.now()}
            if connection.execute(sqlalchemy.update(trials).where(waits).values(begun)).rowcount:
                row = {"trial_id": trial_id, "key": SUPERVISOR, "value_json": claim}
                connection.execute(sqlalchemy.insert(attributes).values(row))
                return True
            # The connection may have broken after it was done.
            return bool(
                connection.scalar(sqlalchemy.select(attributes.value_json).where(whose)) == claim
            )

    def _lost(self, cause: BaseException) -> None:
        if self._rerunning:
            raise _LockLostError from cause


class _LockLostError(Exception):
    """The connection broke in the middle of a turn, and whether the turn went with it is not
    known.
    """


@contextmanager
def advisory_lock(
    engine: sqlalchemy.Engine, what: str, should_stop: Callable[[], object] = lambda: False
) -> Iterator[None]:
    """Within, nobody else is who asked for the same.

    Raises:
        SearchError: somebody else is, and there is no time to wait for it any more.
    """
    key = int.from_bytes(hashlib.sha256(f"assay {what}".encode()).digest()[:8], signed=True)
    with contextlib.closing(
        engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    ) as connection:
        give_up_at, pause = time.monotonic() + _LONGEST_TURN_SECONDS, _FIRST_LOOK_SECONDS
        while not connection.scalar(sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(key))):
            # Asked again and again: who waits in the database hears of nothing else.
            if should_stop() or time.monotonic() > give_up_at:
                raise SearchError(f"another supervisor is busy with {what}: try again in a moment.")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_SECONDS)
        try:
            yield
        finally:
            try:
                connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(key)))
            except sqlalchemy.exc.SQLAlchemyError:
                connection.invalidate()  # which lets go of it too
