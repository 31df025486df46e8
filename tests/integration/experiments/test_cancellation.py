"""A cancelled tracker writes nothing more, and the next tracker continues its journal."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from assay.experiments.tracking import follower
from assay.experiments.tracking.follower import MlflowTracker
from assay.search.events import Event, StudyClosed, TrialEnded
from assay.search.journal import Journal
from tests.helpers.tracking import BEST, opened, snapshot, trial

STORY = [
    opened(),
    *trial(0, TrialEnded(trial=0, state="complete", values=(0.9,))),
    StudyClosed(closing="finished", best=BEST),
]


class Hanging:
    """A client that hangs in the n-th call of one method and counts all calls."""

    def __init__(self, client: MlflowClient, hangs_in: str, nth: int) -> None:
        self._client, self._hangs_in, self._nth = client, hangs_in, nth
        self.hangs, self.go_on = threading.Event(), threading.Event()
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.asked += 1
            if name == self._hangs_in:
                self._nth -= 1
                if self._nth == 0:
                    self.hangs.set()
                    self.go_on.wait()
            return method(*arguments, **named)

        return call


class Away:
    """A client of an unreachable store."""

    asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        raise MlflowException("the store is away")


@pytest.fixture(autouse=True)
def should_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_RETRY_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(follower, "_HURRIED_SECONDS", 0.2)


def start(
    journal: Path, store: str, monkeypatch: pytest.MonkeyPatch, client: object | None = None
) -> MlflowTracker:
    tracker = MlflowTracker(journal, store, journal.parent / "artifacts")
    with monkeypatch.context() as patched:
        if client is not None:
            patched.setattr(follower, "open_client", lambda *asked: client)
        tracker.start()
        tracker.wait_until_open()
    return tracker


def write(path: Path, events: list[Event]) -> Path:
    with Journal(path / "journal.jsonl") as journal:
        for event in events:
            journal.append(event)
        return journal.path


def ended(tracker: MlflowTracker) -> bool:
    tracker._thread.join(10)
    return not tracker._thread.is_alive()


def test_a_cancelled_tracker_makes_no_more_calls_to_an_unreachable_store(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, journal = Away(), write(tmp_path, STORY)
    tracker = start(journal, store, monkeypatch, away)
    assert tracker.close(hurry=True) == "the store is away"
    asked = away.asked
    assert ended(tracker)
    assert away.asked <= asked + 1, "it may just have been asked"
    assert tracker.find_run_id(0) is None
    assert not journal.with_suffix(".tracked").exists()


@pytest.mark.parametrize(
    ("call", "nth"), [("create_run", 1), ("create_run", 2), ("log_batch", 1), ("log_batch", 2)]
)
def test_the_next_tracker_continues_despite_a_pending_call(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    hanging, journal = Hanging(MlflowClient(store), call, nth), write(tmp_path, STORY)
    given_up = start(journal, store, monkeypatch, hanging)
    hanging.hangs.wait()
    monkeypatch.setattr(follower, "_HURRIED_SECONDS", 0.0)
    assert given_up.close(hurry=True) == "it was too slow"
    asked = hanging.asked
    next_one = start(journal, store, monkeypatch)
    while next_one._cursor.offset < journal.stat().st_size:
        assert not next_one._finished.wait(0.01)
    hanging.go_on.set()
    assert ended(given_up)
    assert hanging.asked == asked
    assert next_one.close(hurry=False) is None
    runs = snapshot(store)
    assert [(run[0], run[1]) for run in runs] == [("study", "FINISHED"), ("trial-0000", "FINISHED")]
    assert dict(runs[1][5])["mlflow.parentRunId"] == "study"  # type: ignore[call-overload]
