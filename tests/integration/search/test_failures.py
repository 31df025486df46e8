"""Failed trials: retries, timeouts and attribution of errors."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import TrialState

from assay.models.errors import SearchError, WorkerBug
from assay.search import supervisor
from assay.search.events import EpochEnded, TrialBegun, TrialEnded
from assay.search.storage.stored_values import STATE
from assay.search.study import StudyTrials
from assay.search.workers.local_executor import LocalExecutor
from assay.search.workers.protocol import Message, Method, Trial
from assay.search.workers.vmap_lanes import LaneExecutor
from tests.helpers.clock import Clock
from tests.helpers.lab import Lab, Script, stub_workers
from tests.helpers.waiting import GUARD_SECONDS, wait_until
from tests.helpers.workers import ENDLESS_SECONDS, wait_gone, wait_idle

GOOD = {"curve": [0.1, 0.2, 0.3, 0.4]}


def dying(attempts: int) -> Script:
    """Return a script: the first configuration's worker dies this many times."""

    def script(trial: Trial) -> dict[str, object]:
        first = trial.number == 0 or trial.retry_of is not None
        return {**GOOD, "signal": "SIGSEGV"} if first and trial.attempt <= attempts else GOOD

    return script


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_a_configuration_whose_worker_dies_is_retried(
    lab: Lab, retries: int, attempts: int
) -> None:
    study = lab.run(4, dying(99), workers=1, retries=retries).study
    crashed = [
        trial for trial in study.trials if trial.user_attrs[STATE] == "failed: crashed (SIGSEGV)"
    ]
    assert len(crashed) == attempts
    assert len({str(trial.params) for trial in crashed}) == 1
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 4


def test_a_retry_names_its_original_and_keeps_the_seed(lab: Lab) -> None:
    lab.run(3, dying(2), workers=1, retries=2)
    begun = {event.trial: event for event in lab.events() if isinstance(event, TrialBegun)}
    attempts = [event for event in begun.values() if event.trial == 0 or event.retry_of is not None]
    assert [event.attempt for event in attempts] == [1, 2, 3]
    assert [event.retry_of for event in attempts] == [None, 0, attempts[1].trial]
    assert attempts[2].origin == f"retry of {attempts[1].trial}"
    assert len({(event.seed, str(event.searched)) for event in attempts}) == 1


@pytest.mark.parametrize(
    "fault", [{"exhausts": True}, {"raises": "odd"}, {"curve": [float("nan")] * 4}]
)
def test_failures_of_the_configuration_are_not_retried(lab: Lab, fault: dict[str, object]) -> None:
    lab.run(3, lambda trial: fault if trial.number == 0 else GOOD, workers=1, retries=3)
    assert not [
        event
        for event in lab.events()
        if isinstance(event, TrialBegun) and event.retry_of is not None
    ]


def test_the_next_supervisor_retries_a_recorded_crash(
    lab: Lab,
) -> None:
    """Simulate a crash of the first supervisor before the retry."""
    lab.run(2, dying(1), workers=1, retries=0)
    study = lab.study()
    assert lab.try_again(study, retries=1) == 1
    assert lab.try_again(study, retries=1) == 0
    lab.run(3, dying(1), workers=1, study=study)
    (retry,) = [
        event
        for event in lab.events()
        if isinstance(event, TrialBegun) and event.retry_of is not None
    ]
    assert (retry.attempt, retry.retry_of) == (2, 0)


def test_an_interrupted_retry_is_redone_as_the_same_attempt(lab: Lab) -> None:
    lab.run(1, dying(1), workers=1, retries=0)
    study = lab.study()
    lab.try_again(study, retries=1)
    retry = study.ask()
    study.tell(TrialEnded(trial=retry.number, state="failed", reason="interrupted"))
    assert lab.try_again(study, retries=1) == 1
    redo = study.ask()
    assert (redo.attempt, redo.retry_of, redo.seed) == (2, 0, retry.seed)
    assert redo.origin == f"redo of {retry.number}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock for the supervisor that does not depend on the machine's load."""
    clock = Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    return clock


@pytest.fixture
def after_wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[bool], None]], None]:
    """Register a call after each wait; its argument says whether messages came."""

    def register(act: Callable[[bool], None]) -> None:
        wait = LocalExecutor.wait

        def waited(self: LocalExecutor, timeout_seconds: float) -> Sequence[Message]:
            messages = wait(self, timeout_seconds)
            act(bool(messages))
            return messages

        monkeypatch.setattr(LocalExecutor, "wait", waited)

    return register


@pytest.mark.parametrize("then", ["stays stopped", "answers late"])
def test_a_worker_that_does_not_respond_is_killed_and_its_trial_times_out(
    lab: Lab,
    tmp_path: Path,
    then: str,
    clock: Clock,
    after_wait: Callable[[Callable[[bool], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stops in its second epoch; an answer after the timeout is ignored."""
    kill, log = LocalExecutor.kill, tmp_path / "log"

    def noted(what: str) -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.startswith(f"{what} 0 ")]

    def pid() -> int:
        return int(noted("begin")[0].split()[2])

    def late(self: LocalExecutor, worker: int) -> None:
        if then == "answers late":
            os.kill(pid(), signal.SIGCONT)
            wait_until(lambda: len(noted("epoch")) == 2)  # and it sends the epoch's result
        kill(self, worker)

    def is_stopped() -> bool:
        if not noted("begin") or not psutil.pid_exists(pid()):
            return False
        return bool(psutil.Process(pid()).status() == psutil.STATUS_STOPPED)

    after_wait(lambda messages: clock.advance(2.0 if is_stopped() else 0.0))
    monkeypatch.setattr(LocalExecutor, "kill", late)

    def script(trial: Trial) -> dict[str, object]:
        return {"log": str(log), "signal": "SIGSTOP", **GOOD} if trial.number == 0 else GOOD

    study = lab.run(3, script, workers=1, trial_timeout_seconds=1.5).study
    assert study.trials[0].user_attrs[STATE] == "failed: timed out"
    assert study.trials[0].value is None
    ends = [event for event in lab.events() if isinstance(event, TrialEnded) and event.trial == 0]
    assert [end.label for end in ends] == ["failed: timed out"]
    epochs = [event for event in lab.events() if isinstance(event, EpochEnded)]
    assert [event.epoch for event in epochs if event.trial == 0] == [1]
    assert "did not answer within 1.5 s" in str(ends[0].error)
    wait_gone([pid()])
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 3


def test_workers_that_answer_in_time_are_not_killed(
    lab: Lab, clock: Clock, after_wait: Callable[[Callable[[bool], None]], None]
) -> None:
    """The timeout holds for each call, not for a whole trial."""
    after_wait(lambda messages: clock.advance(0.9 if messages else 0.0))
    study = lab.run(4, lambda trial: GOOD, workers=1, trial_timeout_seconds=1.0)
    assert study.count_by_state() == {"complete": 4, "pruned": 0, "failed": 0, "interrupted": 0}


def act_on_report(
    monkeypatch: pytest.MonkeyPatch, trial: int, epoch: int, act: Callable[[], object]
) -> None:
    """Run `act` while an epoch of a trial is reported to the study."""
    report, reported = StudyTrials.report, (trial, epoch)

    def slow(self: StudyTrials, number: int, epoch: int, value: float) -> bool:
        if (number, epoch) == reported:
            act()
        return report(self, number, epoch, value)

    monkeypatch.setattr(StudyTrials, "report", slow)


def test_a_worker_that_answered_while_the_storage_was_unreachable_is_not_killed(
    lab: Lab, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is in the pipe, unread."""
    called, reported = tmp_path / "called", tmp_path / "reported"
    awaited = {0: called, 1: reported}  # awaited by the last epoch of each trial
    calls: list[tuple[int, Method]] = []
    call = LocalExecutor.call

    def count(self: LocalExecutor, worker: int, method: Method, **arguments: Any) -> None:
        call(self, worker, method, **arguments)
        calls.append((worker, method))
        if [method for _, method in calls].count("epoch") == 2 * len(GOOD["curve"]):
            called.touch()

    monkeypatch.setattr(LocalExecutor, "call", count)

    def script(trial: Trial) -> dict[str, object]:
        return {"awaits": str(awaited[trial.number]), **GOOD} if trial.number in awaited else GOOD

    with stub_workers(2) as workers:
        wait_idle(workers, 2)  # the two trials start together

        def storage_is_away() -> None:
            clock.advance(1.5)
            reported.touch()
            _, second = (worker for worker, method in calls if method == "begin")
            answering = workers._workers[second].connection
            assert select.select([answering], [], [], GUARD_SECONDS)[0]

        act_on_report(monkeypatch, 0, len(GOOD["curve"]), storage_is_away)
        study = lab.run(4, script, workers=0, executor=workers, trial_timeout_seconds=0.8)
    assert study.count_by_state() == {"complete": 4, "pruned": 0, "failed": 0, "interrupted": 0}


def test_a_trial_that_waits_for_other_lanes_does_not_time_out(
    lab: Lab, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to the lanes of one worker are sent together."""
    act_on_report(monkeypatch, 1, 1, lambda: clock.advance(2.0))
    with stub_workers(1) as workers:
        study = lab.run(
            2, lambda trial: GOOD, executor=LaneExecutor(workers, 2), trial_timeout_seconds=1.2
        )
    assert study.count_by_state() == {"complete": 2, "pruned": 0, "failed": 0, "interrupted": 0}


def test_trials_that_only_time_out_end_the_search(lab: Lab) -> None:
    with pytest.raises(SearchError, match="last 2 trials all failed; the last one: timed out"):
        lab.run(
            4,
            lambda trial: {"seconds": ENDLESS_SECONDS, **GOOD},
            workers=1,
            trial_timeout_seconds=0.3,
            max_failures=2,
        )


def test_a_bug_in_assay_is_not_a_failed_trial(lab: Lab) -> None:
    with pytest.raises(WorkerBug, match="KeyError: 'ours'"):
        lab.run(4, lambda trial: {"mistakes": trial.number == 1, **GOOD}, workers=1)
    study = lab.study().study
    assert [trial.user_attrs[STATE] for trial in study.trials] == [
        "complete",
        "failed: interrupted",
    ]
