"""The contract of executors, for local workers and their lanes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from assay.models.errors import SearchError
from assay.search.events import EpochEnded
from assay.search.storage.stored_values import STATE
from assay.search.workers.protocol import Executor
from assay.search.workers.vmap_lanes import LaneExecutor
from tests.helpers.lab import Lab, stub_workers
from tests.helpers.workers import ENDLESS_SECONDS, wait_gone, wait_idle

Make = Callable[[], AbstractContextManager[Executor]]


@contextmanager
def lanes(workers: int, each: int, **options: Any) -> Iterator[LaneExecutor]:
    with stub_workers(workers, **options) as inner:
        yield LaneExecutor(inner, each)


@pytest.fixture(params=["4 workers", "1 worker of 4 lanes", "2 workers of 2 lanes"])
def four(request: pytest.FixtureRequest) -> Make:
    """Return a factory of executors that run four trials at a time."""
    made: dict[str, Make] = {
        "4 workers": lambda: stub_workers(4),
        "1 worker of 4 lanes": lambda: lanes(1, 4),
        "2 workers of 2 lanes": lambda: lanes(2, 2),
    }
    return made[request.param]


def curve(value: float = 1.0) -> dict[str, Any]:
    return {"curve": [value / 2, value / 2, value / 2, value]}


def test_all_lanes_are_idle_at_first(four: Make) -> None:
    with four() as executor:
        wait_idle(executor, 4)
        assert len(set(executor.idle())) == 4


def test_a_lane_with_a_pending_call_is_not_idle(four: Make) -> None:
    with four() as executor:
        wait_idle(executor, 4)
        first, *others = executor.idle()
        executor.call(first, "begin", spec={"name": 0, "curve": [1.0]})
        assert first not in executor.idle()
        assert set(executor.idle()) < set(others) | {first}


def test_every_trial_trains_to_its_end(lab: Lab, four: Make) -> None:
    with four() as executor:
        study = lab.run(10, executor=executor, workers=0)
    assert study.count_by_state() == {"complete": 10, "pruned": 0, "failed": 0, "interrupted": 0}
    assert [trial.value for trial in study.study.trials] == [
        trial.params["units"] / 1000 for trial in study.study.trials
    ]
    epochs = Counter(event.trial for event in lab.events() if isinstance(event, EpochEnded))
    assert epochs == dict.fromkeys(range(10), 4)


def test_a_pruned_trial_does_not_affect_the_others(lab: Lab, four: Make) -> None:
    with four() as executor:
        study = lab.study(pruner="median")
        lab.run(
            12,
            lambda trial: curve(0.1 if trial.number % 4 == 3 else 0.8),
            executor=executor,
            workers=0,
            study=study,
        )
    counts = study.count_by_state()
    assert counts["complete"] + counts["pruned"] == 12
    assert counts["pruned"] > 0


def test_an_exception_fails_only_its_trial(lab: Lab, four: Make) -> None:
    with four() as executor:
        study = lab.run(
            8,
            lambda trial: {"raises": "odd"} if trial.number == 2 else curve(),
            executor=executor,
            workers=0,
        )
    assert study.count_by_state() == {"complete": 8, "pruned": 0, "failed": 1, "interrupted": 0}
    assert study.study.trials[2].user_attrs[STATE] == "failed: error: ValueError: odd"


def test_a_loss_that_is_not_finite_fails_only_its_trial(lab: Lab, four: Make) -> None:
    with four() as executor:
        study = lab.run(
            8,
            lambda trial: {"curve": [0.5, float("nan")]} if trial.number == 2 else curve(),
            executor=executor,
            workers=0,
        )
    assert study.count_by_state() == {"complete": 8, "pruned": 0, "failed": 1, "interrupted": 0}
    assert study.study.trials[2].user_attrs[STATE] == "failed: diverged"


def test_the_trials_of_a_dead_worker_fail_and_it_is_replaced(lab: Lab, four: Make) -> None:
    with four() as executor:
        study = lab.run(
            8,
            lambda trial: curve() | ({"signal": "SIGKILL"} if trial.number == 1 else {}),
            executor=executor,
            workers=0,
            max_failures=2,  # the death of a worker counts as one failure
        )
    assert study.count_by_state()["complete"] == 8
    failed = study.study.get_trials(states=(TrialState.FAIL,))
    assert 1 in [trial.number for trial in failed]
    assert {trial.user_attrs[STATE] for trial in failed} == {"failed: crashed (SIGKILL)"}


def test_closing_leaves_no_process_behind(four: Make) -> None:
    with four() as executor:
        wait_idle(executor, 4)
        inner = getattr(executor, "_inner", executor)
        pids = list(inner.pids())
        lanes = executor.idle()
        for lane in lanes:
            executor.call(
                lane, "begin", spec={"name": 0, "curve": [1.0], "seconds": ENDLESS_SECONDS}
            )
        begun = 0
        while begun < len(lanes):
            begun += len(executor.wait(1))
        for lane in lanes:
            executor.call(lane, "epoch")
        executor.wait(0)
        executor.close()
        executor.close()
    wait_gone(pids)


def test_failures_beside_running_trials_do_not_end_the_search(lab: Lab) -> None:
    """Failures of trials that train together are reported before any trial is complete."""
    nan = float("nan")

    def script(trial: Any) -> dict[str, Any]:
        return {"curve": [0.5] * (trial.number // 2) + [nan]} if trial.number < 6 else curve()

    with lanes(1, 8) as executor:
        study = lab.run(8, script, executor=executor, workers=0, max_failures=2)
    assert study.count_by_state() == {"complete": 8, "pruned": 0, "failed": 6, "interrupted": 0}


def test_batches_that_only_fail_end_the_search(lab: Lab) -> None:
    with (
        lanes(1, 4) as executor,
        pytest.raises(
            SearchError, match=r"the last 8 trials all failed; the last one: error: ValueError: odd"
        ),
    ):
        lab.run(20, lambda trial: {"raises": "odd"}, executor=executor, workers=0, max_failures=2)


def test_lanes_are_idle_again_once_all_lanes_of_their_worker_are_free(
    lab: Lab, tmp_path: Path
) -> None:
    """Trials that start together never start beside an older trial."""
    log = tmp_path / "log"

    def script(trial: Any) -> dict[str, Any]:
        return curve() | {"log": str(log), **({"raises": "odd"} if trial.number == 0 else {})}

    with lanes(1, 2) as executor:
        lab.run(4, script, executor=executor, workers=0)
    events = [line.split()[:2] for line in log.read_text().splitlines()]
    assert [name for what, name in events if what == "begin"] == ["0", "1", "2", "3", "4"]
    assert events.index(["begin", "2"]) > events.index(["finish", "1"])


def test_a_worker_that_grew_too_much_is_replaced_once_all_its_lanes_are_free(
    lab: Lab,
) -> None:
    with lanes(1, 2, max_growth_bytes=50_000_000) as executor:
        study = lab.run(
            8,
            lambda trial: {"curve": [0.1] * 4, "grow_bytes": 20_000_000},
            workers=0,
            executor=executor,
        )
    assert study.count_by_state() == {"complete": 8, "pruned": 0, "failed": 0, "interrupted": 0}
    pids = [event.metrics["pid"] for event in lab.events() if hasattr(event, "state")]
    assert len(set(pids)) == 2
