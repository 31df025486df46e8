"""Storage cached in memory, for a study with one writer.

Optuna reads the study again whenever it asks, prunes or tells, and commits every parameter and
attribute by itself: 27 transactions and 12 reads per trial of mnist-mlp. A process that is the only
writer of a study has all of it in memory, and writes a new trial at once: 13 transactions, no read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from assay.models.errors import SearchError


class WriteThroughStorage(InMemoryStorage):
    """Keeps the studies that are opened through it in memory.

    Every write is in the database before it returns, but for those within `transaction`. Studies
    and trials have other ids here than in the database.

    Args:
        database: where the studies lie. No other process may write them;
            `assay.search.system.files.StudyLock` sees to it.

    Raises:
        SearchError: by creating a trial, if another process has created one in the same study.

    Example:
        >>> storage = WriteThroughStorage(open_storage("sqlite:///mlruns/optuna.db"))
        >>> study = optuna.load_study(study_name="digits-mlp", storage=storage)
        >>> with storage.transaction():
        ...     trial = study.ask({"units": IntDistribution(16, 512)})
    """

    def __init__(self, database: BaseStorage) -> None:
        super().__init__()
        self._database = database
        # Ids in the database by ids in memory. A trial that is finished has none: it is not
        # written any more.
        self._database_study_ids: dict[int, int] = {}
        self._database_trial_ids: dict[int, int] = {}
        self._unwritten: list[tuple[int, int]] = []  # study and trial, so far in memory alone
        self._in_transaction = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write each trial that is created within at the end, in one transaction.

        They are written after an exception too, so that recovery finds them.
        """
        self._in_transaction = True
        try:
            yield
        finally:
            self._in_transaction = False
            for study_id, trial_id in self._unwritten:
                self._write_trial(study_id, trial_id, self.get_trial(trial_id))
            self._unwritten.clear()

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""
        database_id = self._database.create_new_study(directions, study_name)
        return self._load_study(database_id)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._database.delete_study(self._database_study_ids.pop(study_id))
        super().delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._database.set_study_user_attr(self._database_study_ids[study_id], key, value)
        super().set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study."""
        self._database.set_study_system_attr(self._database_study_ids[study_id], key, value)
        super().set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study, which is read into memory the first time.

        Raises:
            KeyError: there is no study of that name.
        """
        try:
            return super().get_study_id_from_name(study_name)
        except KeyError:
            return self._load_study(self._database.get_study_id_from_name(study_name))

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial."""
        # In memory first, which gives it its number.
        trial_id = super().create_new_trial(study_id, template_trial)
        if self._in_transaction:
            self._unwritten.append((study_id, trial_id))
        else:
            self._write_trial(study_id, trial_id, self.get_trial(trial_id))
        return trial_id

    # In each of these a trial without an id in the database is one of `_unwritten`, which is
    # written later, or one that is finished, which memory refuses to change.

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial."""
        if (database_id := self._database_trial_ids.get(trial_id)) is not None:
            self._database.set_trial_param(
                database_id, param_name, param_value_internal, distribution
            )
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state of a trial, and its values; return whether it could be set."""
        database_id = self._database_trial_ids.get(trial_id)
        if database_id is not None and not self._database.set_trial_state_values(
            database_id, state, values
        ):
            return False
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set the value that a trial reported at a step."""
        if (database_id := self._database_trial_ids.get(trial_id)) is not None:
            self._database.set_trial_intermediate_value(database_id, step, intermediate_value)
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial."""
        if (database_id := self._database_trial_ids.get(trial_id)) is not None:
            self._database.set_trial_user_attr(database_id, key, value)
        super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a trial."""
        if (database_id := self._database_trial_ids.get(trial_id)) is not None:
            self._database.set_trial_system_attr(database_id, key, value)
        super().set_trial_system_attr(trial_id, key, value)

    def remove_session(self) -> None:
        """Release the database's connections."""
        self._database.remove_session()

    def _load_study(self, database_id: int) -> int:
        """Read a study of the database into memory; return its id in memory."""
        name = self._database.get_study_name_from_id(database_id)
        directions = self._database.get_study_directions(database_id)
        study_id = super().create_new_study(directions, name)
        self._database_study_ids[study_id] = database_id
        for key, value in self._database.get_study_user_attrs(database_id).items():
            super().set_study_user_attr(study_id, key, value)
        for key, value in self._database.get_study_system_attrs(database_id).items():
            super().set_study_system_attr(study_id, key, value)
        for trial in self._database.get_all_trials(database_id, deepcopy=False):
            trial_id = super().create_new_trial(study_id, trial)
            if not trial.state.is_finished():
                self._database_trial_ids[trial_id] = (
                    self._database.get_trial_id_from_study_id_trial_number(
                        database_id, trial.number
                    )
                )
        return study_id

    def _write_trial(self, study_id: int, trial_id: int, trial: FrozenTrial) -> None:
        database_study_id = self._database_study_ids[study_id]
        database_id = self._database.create_new_trial(database_study_id, trial)
        self._database_trial_ids[trial_id] = database_id
        # The database gives a trial the next number: another one than in memory if another process
        # has created a trial.
        if database_id != self._database.get_trial_id_from_study_id_trial_number(
            database_study_id, trial.number
        ):
            name = self.get_study_name_from_id(study_id)
            raise SearchError(
                f"study {name!r} is being written by another program too: end that one, then give "
                "the same command again."
            )
