"""Claims of waiting trials by a supervisor: one transaction, or Optuna's calls.

The database is SQLite here. Tests with concurrent supervisors are in tests/system/search.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from assay.search import optuna_compat
from assay.search.storage.postgresql import SharedStorage
from assay.search.storage.stored_values import SUPERVISOR


def shared(folder: Path, supervisor: str) -> SharedStorage:
    database = optuna.storages.RDBStorage(f"sqlite:///{folder / 'optuna.db'}")
    storage = SharedStorage(database, "a test", 0.0)
    storage.supervisor = supervisor
    return storage


@pytest.fixture(params=["5.0.0", "5.1.0"])
def release(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(optuna_compat, "version", lambda package: request.param)
    return str(request.param)


def enqueued(folder: Path) -> optuna.Study:
    study = optuna.create_study(storage=shared(folder, "first"), study_name="study")
    study.enqueue_trial({"x": 1})
    return study


def test_a_claimed_trial_is_running_and_has_its_supervisor(tmp_path: Path, release: str) -> None:
    trial = enqueued(tmp_path).ask()
    known = shared(tmp_path, "second").get_trial(trial._trial_id)
    assert (known.state, known.user_attrs) == (TrialState.RUNNING, {SUPERVISOR: "first"})
    assert known.datetime_start is not None
    assert trial.suggest_int("x", 0, 9) == 1


def test_a_trial_claimed_by_another_supervisor_is_not_taken(tmp_path: Path, release: str) -> None:
    trial = enqueued(tmp_path).ask()
    second = shared(tmp_path, "second")
    assert not second.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
    assert second.get_trial(trial._trial_id).user_attrs == {SUPERVISOR: "first"}


def test_a_trial_that_ends_during_the_claim_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_compat, "version", lambda package: "5.1.0")
    study = enqueued(tmp_path)
    set_attribute = SharedStorage.set_trial_user_attr

    def settled_by_another(self: SharedStorage, trial_id: int, key: str, value: Any) -> None:
        other = shared(tmp_path, "second")
        other.set_trial_state_values(trial_id, TrialState.FAIL)
        with pytest.raises(UpdateFinishedTrialError):
            set_attribute(self, trial_id, key, value)
        raise UpdateFinishedTrialError

    monkeypatch.setattr(
        "assay.search.storage.retrying.RetryingStorage.set_trial_user_attr", settled_by_another
    )
    assert study.ask().number == 1, "trial 0 is another's now: a new one is created"
