"""A store that is asked to make a run, does not answer in time, and makes it all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from experiments.tracking.record import Recorder
from search.events import StudyClosed, TrialEnded
from tests.experiments.test_tracking import BEST, empty_store, opened, snapshot, store, trial

__all__ = ["empty_store", "store"]  # fixtures

STORY = [
    opened(),
    *trial(0, TrialEnded(trial=0, state="complete", values=(0.9,))),
    *trial(1, TrialEnded(trial=1, state="complete", values=(0.8,))),
    StudyClosed(closing="finished", best=BEST),
]


class Late:
    """A client whose n-th `create_run` is not answered, and is done only after so many more calls."""

    def __init__(self, client: MlflowClient, nth: int, calls: int) -> None:
        self._client, self._nth, self._calls = client, nth, calls
        self._pending: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name == "create_run":
                self._nth -= 1
                if self._nth == 0:
                    self._pending = lambda: method(*arguments, **named)
                    raise MlflowException("no answer in time")
            elif self._pending is not None:
                self._calls -= 1
                if self._calls == 0:
                    self._pending()
                    self._pending = None
            return method(*arguments, **named)

        return call


@pytest.mark.parametrize("nth", [1, 2, 3], ids=["the study's own", "of trial 0", "of trial 1"])
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5])
def test_nothing_is_there_twice_in_the_end(tmp_path: Path, store: str, nth: int, calls: int) -> None:
    recorder = Recorder(Late(MlflowClient(store), nth, calls), tmp_path / "artifacts")  # type: ignore[arg-type]
    with pytest.raises(MlflowException):
        recorder.record(STORY)
    for part in (STORY[:3], STORY[3:8], STORY[8:]):  # between which the store is away again
        recorder.resume(opened())
        recorder.record(part)
    recorder.take_back_doubles()
    runs = snapshot(store)
    assert [run[0] for run in runs] == ["study", "trial-0000", "trial-0001"]
    assert {run[1] for run in runs} == {"FINISHED"}
    parents = {dict(run[5]).get("mlflow.parentRunId", "study") for run in runs}  # type: ignore[call-overload]
    assert parents == {"study"}
    assert [len(run[6]) for run in runs] == [1, 4, 4]  # type: ignore[arg-type]
