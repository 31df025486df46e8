"""Several supervisors on one study, on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from optuna.trial import TrialState

from assay.models.errors import SearchError
from assay.search import optuna_compat
from assay.search.events import StudyOpened
from assay.search.journal import Journal
from assay.search.plan import FailurePolicy
from assay.search.recovery import enqueue_follow_ups, recover
from assay.search.storage.opening import open_storage
from assay.search.storage.postgresql import SharedStorage
from assay.search.storage.stored_values import SEED, STATE, SUPERVISOR
from assay.search.study import StudyTrials
from assay.search.workers.protocol import Trial
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.shared_study import asked, opened, tell
from tests.helpers.waiting import GUARD_SECONDS


@pytest.fixture(scope="module")
def url(postgresql: PostgreSQL) -> str:
    return postgresql.new()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture(params=["5.0.0", "5.1.0"])
def release(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Simulate a release of Optuna, with or without use of its private parts."""
    monkeypatch.setattr(optuna_compat, "version", lambda package: request.param)
    return str(request.param)


def connections(url: str) -> int:
    """Return the number of connections to a database, without this one."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        others = (
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return int(connection.scalar(sqlalchemy.text(others)) or 0)


def units(study: StudyTrials, count: int) -> list[int]:
    drawn = []
    for _ in range(count):
        trial = study.ask()
        assert trial is not None
        drawn.append(trial.searched["units"])
        tell(study, trial)
    return drawn


def journal_of(folder: Path, study: StudyTrials) -> Journal:
    journal = Journal(folder / f"{study.supervisor}.jsonl")
    journal.append(
        StudyOpened(
            study="s", study_id=study.study_id, experiment="e", provenance={}, text="", data={},
            supervisor=study.supervisor,
        )
    )  # fmt: skip
    return journal


def test_concurrent_supervisors_open_the_same_study(url: str, name: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        studies = list(pool.map(lambda _: opened(url, name), range(6)))
    assert len({study.study_id for study in studies}) == 1
    assert len({study.supervisor for study in studies}) == 6


def test_concurrent_supervisors_create_the_tables_once(postgresql: PostgreSQL) -> None:
    empty = postgresql.new()
    with ThreadPoolExecutor(4) as pool:
        assert all(
            isinstance(one, SharedStorage)
            for one in pool.map(lambda _: open_storage(empty), range(4))
        )


@pytest.mark.parametrize("wait_for_server", [False, True])
def test_no_connection_is_left_behind(postgresql: PostgreSQL, wait_for_server: bool) -> None:
    url = postgresql.new()
    with contextlib.closing(open_storage(url, wait_for_server)) as storage:
        units(StudyTrials(storage, asked("looked at")), 2)
        assert (connections(url) > 0) is wait_for_server  # pooled only if it waits
    assert connections(url) == 0


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc", "grid"])
def test_concurrent_supervisors_draw_different_trials(url: str, name: str, sampler: str) -> None:
    def work(_: int) -> list[Trial]:
        study, taken = opened(url, name, sampler), []
        while len(taken) < 8 and (trial := study.ask()) is not None:
            taken.append(trial)
            tell(study, trial)
        return taken

    with ThreadPoolExecutor(3) as pool:
        trials = [trial for taken in pool.map(work, range(3)) for trial in taken]
    wanted = 20 if sampler == "grid" else 24
    assert sorted(trial.number for trial in trials) == list(range(wanted))
    assert len({str(trial.searched) for trial in trials}) == wanted
    assert opened(url, name, sampler).count_done() == wanted


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc", "nsga2"])
def test_supervisors_of_a_new_study_draw_different_trials(
    url: str, name: str, sampler: str
) -> None:
    several = [opened(url, name, sampler) for _ in range(3)]
    drawn = [units(study, 2) for study in several]
    assert len({unit for some in drawn for unit in some}) == 6


def test_sequential_supervisors_are_reproducible(url: str, name: str) -> None:
    drawn = [[units(opened(url, f"{name} {twice}"), 3) for _ in range(3)] for twice in (0, 1)]
    assert drawn[0] == drawn[1]
    assert len({unit for session in drawn[0] for unit in session}) == 9


def test_enqueued_trials_are_taken_once(url: str, name: str, release: str) -> None:
    first = opened(url, name)
    first.enqueue([{"units": unit, "kind": "a"} for unit in range(1, 41)], "enqueued")

    def work(study: StudyTrials) -> list[int]:
        return units(study, 10)

    with ThreadPoolExecutor(4) as pool:
        taken = Counter(
            unit
            for some in pool.map(work, [first, *(opened(url, name) for _ in range(3))])
            for unit in some
        )
    assert taken == Counter(range(1, 41))
    assert all(SUPERVISOR in trial.user_attrs for trial in first.study.trials)


def test_trials_of_other_supervisors_count(url: str, name: str) -> None:
    first, second = opened(url, name), opened(url, name)
    trial = first.ask()
    assert trial is not None
    assert second.count_done() == 0
    tell(first, trial)
    assert second.count_done() == 1
    assert second.best_trials() == {0: (0.5,)}
    assert not second.admits(1, (0.4,))


def test_only_trials_of_dead_supervisors_are_recovered_and_only_once(
    url: str, name: str, tmp_path: Path, release: str
) -> None:
    dead, alive = opened(url, name), opened(url, name)
    left, going_on = dead.ask(), alive.ask()
    assert left is not None
    assert going_on is not None
    third = opened(url, name)
    with journal_of(tmp_path, third) as journal:
        recover(opened(url, name), journal, lambda trial: {})
        assert alive.get_trial(left.number).state == TrialState.RUNNING
    tell(alive, going_on)
    assert alive.get_trial(going_on.number).state == TrialState.COMPLETE
    with journal_of(tmp_path, dead) as journal:
        again = opened(url, name)
        recover(again, journal, lambda trial: {})
        assert again.get_trial(left.number).user_attrs[STATE] == "failed: interrupted"
        assert [
            enqueue_follow_ups(again, FailurePolicy()),
            enqueue_follow_ups(again, FailurePolicy()),
        ] == [1, 0]
    redone = alive.ask()
    assert redone is not None
    assert (redone.searched, redone.seed) == (left.searched, left.seed)


def test_a_crash_is_retried_by_the_supervisor_of_the_trial(url: str, name: str) -> None:
    mine, other = opened(url, name), opened(url, name)
    trial = mine.ask()
    assert trial is not None
    tell(mine, trial, "failed", "crashed (SIGKILL)")
    assert enqueue_follow_ups(other, FailurePolicy(), dead={other.supervisor}) == 0
    mine.enqueue_retry(trial)
    assert enqueue_follow_ups(other, FailurePolicy(), dead={mine.supervisor}) == 0


def test_a_study_waits_for_a_restarted_server(postgresql: PostgreSQL, name: str) -> None:
    url = postgresql.new()
    study, notes = opened(url, name, wait_for_server=True), []
    assert isinstance(study._storage, SharedStorage)
    study._storage.on_wait = notes.append
    before = units(study, 2)
    postgresql.stop()
    starting = threading.Timer(2.0, postgresql.start)
    starting.start()
    after = units(study, 3)
    starting.join()
    assert len(notes) == 1
    assert "is away" in notes[0]
    trials = study.study.trials
    assert [trial.params["units"] for trial in trials] == before + after
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len({trial.user_attrs[SEED] for trial in trials}) == 5


def test_a_stop_request_ends_the_wait_for_the_server(postgresql: PostgreSQL, name: str) -> None:
    study = opened(postgresql.new(), name, wait_for_server=True)
    storage = study._storage
    assert isinstance(storage, SharedStorage)
    stops: list[bool] = []
    storage.should_stop = lambda: stops
    postgresql.stop()
    stopping = threading.Timer(1.0, lambda: stops.append(True))
    stopping.start()
    try:
        began = time.monotonic()
        for _ in range(20):  # after one failed wait, all further calls fail at once
            with pytest.raises(SearchError, match="goes on from here"):
                study.ask()
        assert time.monotonic() - began < GUARD_SECONDS  # each call would wait for ten minutes
    finally:
        stopping.join()
        postgresql.start()
