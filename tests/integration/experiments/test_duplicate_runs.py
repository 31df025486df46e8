"""A store that fails or answers late at any call ends up with each run once."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, RunData, RunInfo
from mlflow.exceptions import MlflowException

from assay.experiments.tracking import follower
from assay.experiments.tracking.lookup import rank_runs
from assay.experiments.tracking.recorder import Recorder
from assay.search.events import Event, StudyClosed, TrialEnded
from tests.helpers.tracking import (
    BEST,
    PARAMS,
    opened,
    snapshot,
    tell,
    trial,
)

STORY = [
    opened(),
    *trial(0, TrialEnded(trial=0, state="complete", values=(0.9,))),
    *trial(1, TrialEnded(trial=1, state="complete", values=(0.8,))),
    StudyClosed(closing="finished", best=BEST),
]

Client = Callable[[MlflowClient], object]


@pytest.fixture
def tell_through(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Path, str, Client, Sequence[Event]], None]:
    """Return a `tell` that wraps the store's client and retries at once."""
    monkeypatch.setattr(follower, "_RETRY_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(follower, "_BATCH_EVENTS", 4)
    really = follower.open_client

    def passed(folder: Path, uri: str, client: Client, events: Sequence[Event]) -> None:
        monkeypatch.setattr(follower, "open_client", lambda *asked: client(really(*asked)))
        tell(folder, uri, events)

    return passed


@pytest.fixture
def killed_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the deletion of duplicate runs at the end."""
    monkeypatch.setattr(Recorder, "delete_duplicates", lambda recorder: None)


class Flaky:
    """A client that fails once, before or after its n-th call reaches the store."""

    def __init__(self, client: MlflowClient, at: int, after: bool) -> None:
        self._client = client
        self._left = at
        self._after = after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            fails = self._left == 0
            self.failed = self.failed or fails
            if fails and not self._after:
                raise MlflowException("the store is away")
            answer = method(*arguments, **named)
            if fails:
                raise MlflowException("the store is away, but it took the call")
            return answer

        return call


@pytest.mark.usefixtures("killed_at_its_end")
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_failure_at_any_call_gives_the_same_runs(
    tmp_path: Path, empty_store: Path, tell_through: Callable[..., None], single: bool, after: bool
) -> None:
    first = opened(None if single else "study")
    complete = trial(0, TrialEnded(trial=0, state="complete", values=(0.9,)))
    interrupted = (
        []
        if single
        else trial(1, TrialEnded(trial=1, state="failed", reason="interrupted"), epochs=1)
    )
    closed = StudyClosed(closing="finished", best=BEST)
    story = [first, *complete, *interrupted, closed]
    seen: list[list[tuple[object, ...]]] = []
    for call in itertools.count():
        home = tmp_path / str(call)
        home.mkdir()
        shutil.copy(empty_store, home / "mlflow.db")
        uri, made = f"sqlite:///{home / 'mlflow.db'}", list[Flaky]()

        def flaky(client: MlflowClient, call: int = call, made: list[Flaky] = made) -> Flaky:
            made.append(Flaky(client, call, after))
            return made[-1]

        tell_through(home, uri, flaky, story)
        seen.append(snapshot(uri))
        if call and not made[0].failed:
            break
    assert len(seen) > 8
    assert all(found == seen[0] for found in seen)
    params = sorted((name, str(value)) for name, value in PARAMS.items())
    assert all(run[4] == params for run in seen[0] if run[0] != "study")


class Late:
    """A client whose n-th `create_run` times out and takes effect some calls later.

    The store also fails at the later calls in `away`.
    """

    def __init__(self, client: MlflowClient, nth: int, calls: int, away: Collection[int]) -> None:
        self._client, self._nth, self._calls = client, nth, calls
        self._away, self._since = away, 0
        self._pending: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name == "create_run":
                self._nth -= 1
                if self._nth == 0:
                    self._pending = lambda: method(*arguments, **named)
                    raise MlflowException("no answer in time")
            if self._nth <= 0:
                self._since += 1
            if self._since in self._away:
                raise MlflowException("the store is away again")
            if self._pending is not None:
                self._calls -= 1
                if self._calls == 0:
                    self._pending()
                    self._pending = None
            return method(*arguments, **named)

        return call


@pytest.mark.parametrize("nth", [1, 2, 3], ids=["the study's own", "of trial 0", "of trial 1"])
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5])
def test_no_duplicate_runs_remain(
    tmp_path: Path, store: str, tell_through: Callable[..., None], nth: int, calls: int
) -> None:
    tell_through(tmp_path, store, lambda client: Late(client, nth, calls, away=(8, 15, 30)), STORY)
    runs = snapshot(store)
    assert [run[0] for run in runs] == ["study", "trial-0000", "trial-0001"]
    assert {run[1] for run in runs} == {"FINISHED"}
    parents = {dict(run[5]).get("mlflow.parentRunId", "study") for run in runs}  # type: ignore[call-overload]
    assert parents == {"study"}
    assert [len(run[6]) for run in runs] == [1, 4, 4]  # type: ignore[arg-type]


def test_duplicates_are_deleted_if_the_store_fails_during_the_deletion(
    tmp_path: Path, store: str, tell_through: Callable[..., None]
) -> None:
    class AwayWhenDeleting(Late):
        left = 2

        def delete_run(self, run_id: str) -> None:
            self.left -= 1
            if self.left >= 0:
                raise MlflowException("the store is away")
            self._client.delete_run(run_id)

    tell_through(tmp_path, store, lambda client: AwayWhenDeleting(client, 1, 5, away=()), STORY)
    assert [run[0] for run in snapshot(store)] == ["study", "trial-0000", "trial-0001"]


def test_a_deleted_run_counts_only_if_there_is_no_other() -> None:
    def run(run_id: str, start_time: int, stage: str) -> Run:
        info = RunInfo(
            run_id=run_id,
            experiment_id="1",
            user_id="",
            status="FINISHED",
            start_time=start_time,
            end_time=None,
            lifecycle_stage=stage,
        )
        return Run(info, RunData())

    runs = [run("newest", 3, "active"), run("oldest", 1, "deleted"), run("older", 2, "active")]
    ranked = [run.info.run_id for run in rank_runs(runs)]
    assert ranked == ["older", "newest", "oldest"]
