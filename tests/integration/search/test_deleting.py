"""A study is counted and deleted without loading its trials, and nothing else is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import create_trial

from assay.search.storage import opening, retrying
from assay.search.storage.opening import open_storage
from assay.search.system.urls import sqlite_url

TABLES = (
    *("trials", "trial_values", "trial_params", "trial_intermediate_values"),
    *("trial_user_attributes", "trial_system_attributes"),
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two studies of three trials each, with rows in every table."""
    file = tmp_path / "optuna.db"
    for name in ("kept", "deleted"):
        study = optuna.create_study(study_name=name, storage=sqlite_url(file))
        study.set_user_attr("key", "value")
        for number in range(3):
            trial = create_trial(
                value=0.5,
                params={"x": 0.1 * number},
                distributions={"x": FloatDistribution(0, 1)},
                user_attrs={"key": number},
                system_attrs={"key": number},
                intermediate_values={1: 0.5},
            )
            study.add_trial(trial)
    return file


def rows(database: Path) -> dict[str, set[int]]:
    """Return the trials that each table has rows of."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        return {
            table: {number for (number,) in opened.execute(f"SELECT trial_id FROM {table}")}
            for table in TABLES
        }


@pytest.mark.parametrize("is_supported", [True, False])
def test_deleting_a_study_leaves_the_others(
    is_supported: bool, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "is_supported", lambda: is_supported)
    monkeypatch.setattr(opening, "is_supported", lambda: is_supported)
    storage = open_storage(sqlite_url(database))
    kept, deleted = (storage.get_study_id_from_name(name) for name in ("kept", "deleted"))
    assert storage.get_n_trials(deleted) == 3
    assert storage.get_n_trials(deleted, optuna.trial.TrialState.FAIL) == 0
    before = storage.get_all_trials(kept)
    assert all(len(numbers) == 6 for numbers in rows(database).values())
    storage.delete_study(deleted)
    assert [storage.get_study_id_from_name("kept")] == [
        study._study_id for study in storage.get_all_studies()
    ]
    assert storage.get_all_trials(kept) == before
    assert rows(database) == {table: {1, 2, 3} for table in TABLES}


def test_no_trial_is_loaded(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        pytest.fail("trials were loaded")

    storage = open_storage(sqlite_url(database))
    deleted = storage.get_study_id_from_name("deleted")
    monkeypatch.setattr(RDBStorage, "_get_trials", refuse)
    assert storage.get_n_trials(deleted) == 3
    storage.delete_study(deleted)
    assert storage.get_n_trials(storage.get_study_id_from_name("kept")) == 3
