"""Worker processes: start, replacement and termination."""

from __future__ import annotations

import gc
import os
import signal
import warnings

import psutil
import pytest

from assay.models.errors import SearchError
from assay.search.workers.local_executor import LocalExecutor, WorkerRecipe
from assay.search.workers.protocol import Died, Message, Raised, Reply
from tests.helpers.lab import FIND_TESTS, Lab, stub_workers
from tests.helpers.waiting import wait_until
from tests.helpers.workers import ENDLESS_SECONDS, wait_gone, wait_idle


def test_closing_ends_idle_stopped_and_training_workers() -> None:
    with stub_workers(3) as executor:
        wait_idle(executor, 3)
        pids = list(executor.pids())
        assert len(set(pids)) == 3
        for worker in executor.idle()[:2]:
            spec = {"name": 0, "curve": [1.0], "seconds": ENDLESS_SECONDS}
            executor.call(worker, "begin", spec=spec)
            wait_until(lambda: executor.wait(1))
            executor.call(worker, "epoch")
        executor.wait(0)
        os.kill(pids[0], signal.SIGSTOP)
    wait_gone(pids)


def test_closing_ends_a_stopped_worker_when_the_fork_server_has_just_reported_another() -> None:
    """Closing a socket with unread data is an error for its other end."""
    with stub_workers(2) as executor:
        wait_idle(executor, 2)
        stopped, killed = executor.pids()
        os.kill(stopped, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        wait_gone([killed])
        wait_until(lambda: not psutil.pid_exists(killed))  # reaped, and reported
    wait_gone([stopped])


def test_a_killed_idle_worker_is_replaced() -> None:
    with stub_workers(1) as executor:
        wait_idle(executor, 1)
        (before,) = executor.pids()
        os.kill(before, signal.SIGKILL)
        messages: list[Message] = []
        wait_until(lambda: messages.extend(executor.wait(0.2)) or messages)
        assert [type(message) for message in messages] == [Died]
        assert messages[0].how == "SIGKILL"
        wait_idle(executor, 1)
        assert list(executor.pids()) != [before]


def test_a_worker_killed_by_a_signal_without_a_name_is_replaced() -> None:
    with stub_workers(1) as executor:
        wait_idle(executor, 1)
        (before,) = executor.pids()
        os.kill(before, signal.SIGRTMIN + 6)
        messages: list[Message] = []
        wait_until(lambda: messages.extend(executor.wait(0.2)) or messages)
        assert [message.how for message in messages if isinstance(message, Died)] == [
            f"signal {signal.SIGRTMIN + 6}"
        ]


def test_closing_before_the_workers_are_forked_leaves_no_socket_open() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with stub_workers(4):
            pass
        gc.collect()
    assert not [str(warning.message) for warning in caught]


def test_a_worker_that_grew_too_much_is_replaced_between_trials(lab: Lab) -> None:
    with stub_workers(1, max_growth_bytes=50_000_000) as executor:
        study = lab.run(
            6,
            lambda trial: {"curve": [0.1] * 4, "grow_bytes": 40_000_000},
            workers=0,
            executor=executor,
        )
    assert study.count_by_state() == {"complete": 6, "pruned": 0, "failed": 0, "interrupted": 0}
    pids = [event.metrics["pid"] for event in lab.events() if hasattr(event, "state")]
    assert len(set(pids)) == 2


@pytest.mark.parametrize(
    ("preload", "trainer", "words"),
    [
        (
            "tests.helpers.stub_trainer:failing_preload",
            "tests.helpers.stub_trainer:StubTrainer",
            "the backend is broken",
        ),
        (
            "tests.helpers.stub_trainer:preload",
            "tests.helpers.stub_trainer:preload",
            "unexpected keyword argument 'threads'",
        ),
    ],
)
def test_workers_that_cannot_start_end_the_search_with_their_last_output(
    preload: str, trainer: str, words: str
) -> None:
    executor = LocalExecutor(WorkerRecipe(preload, trainer, {"threads": 1}, FIND_TESTS), [{}])
    executor.start()
    try:
        with pytest.raises(SearchError, match="workers") as caught:
            wait_idle(executor, 1)
        assert words in str(caught.value)
    finally:
        executor.close()


def check(executor: LocalExecutor, **spec: object) -> Message:
    wait_idle(executor, 1)
    (worker,) = executor.idle()
    executor.call(worker, "check", spec=spec)
    while not (messages := executor.wait(1)):
        pass
    executor.release(worker)
    return messages[0]


def test_a_worker_that_has_not_trained_sets_no_reference_for_growth() -> None:
    """Otherwise the memory of a backend's first trial would count as growth."""
    with stub_workers(1, max_growth_bytes=50_000_000) as executor:
        assert isinstance(check(executor), Reply)
        (before,) = executor.pids()
        (worker,) = executor.idle()
        for method, arguments in (
            ("begin", {"spec": {"name": 0, "curve": [0.1], "grow_bytes": 80_000_000}}),
            ("epoch", {}),
            ("finish", {"save_as": None}),
        ):
            executor.call(worker, method, **arguments)  # type: ignore[arg-type]
            while not executor.wait(1):
                pass
        executor.release(worker)
        assert list(executor.pids()) == [before]


def test_a_refused_request_is_distinguished_from_other_failures() -> None:
    with stub_workers(1) as executor:
        checked, refused, raised = (
            check(executor, **told) for told in ({}, {"refuses": "no"}, {"raises": "oh"})
        )
    assert isinstance(checked, Reply)
    assert checked.value == {"parameters": 26, "metrics": ["loss", "val_accuracy"]}
    assert isinstance(refused, Raised)
    assert (refused.error, refused.request) == ("no", True)
    assert isinstance(raised, Raised)
    assert (raised.error, raised.request) == ("ValueError: oh", False)
