"""Unreachable servers: one line, soon, and no data lost afterwards."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from assay.experiments.maintenance.doctor import diagnose
from tests.chaos.cases import STUDY, home, sweep
from tests.chaos.outages import until
from tests.chaos.sessions import Sessions, Zygote
from tests.chaos.verdict import ended_well
from tests.helpers.mlflow_server import MlflowServer
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.waiting import GUARD_SECONDS, wait_until


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as zygote:
        yield zygote


def told(sessions: Sessions) -> list[str]:
    return sessions.errors.read_text().splitlines()


def start(sessions: Sessions, trials: int, *more: str) -> int:
    pid = sessions.start(*sweep(trials, 2, "--pruner", "none", *more))
    until(sessions, pid, 3)
    return pid


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_with_an_unreachable_storage_stops_on_a_signal(
    zygote: Zygote, postgresql: PostgreSQL, number: signal.Signals, code: int
) -> None:
    with home(zygote, storage=postgresql.new(), epoch_seconds=0.1) as sessions:
        pid = start(sessions, 40)
        finished = ended_well(sessions.home, STUDY)
        postgresql.stop()
        try:
            wait_until(lambda: "is away" in sessions.errors.read_text())
            os.kill(pid, number)
            began = time.monotonic()
            assert sessions.wait(pid) == code
            assert time.monotonic() - began < GUARD_SECONDS  # otherwise it waits ten minutes
        finally:
            postgresql.start()
        assert sum("is away" in line for line in told(sessions)) == 1
        assert re.match(
            "assay: the storage .* fails .* the same command goes on from here", told(sessions)[-1]
        )
        assert sessions.run(*sweep(12, 2, "--pruner", "none")) == 0
        assert finished <= ended_well(sessions.home, STUDY)
        assert len(ended_well(sessions.home, STUDY)) == 12
        assert diagnose(sessions.store_paths, fix=False).differences == []


@pytest.mark.parametrize("by", ["sweep", "doctor"])
def test_the_next_command_tracks_the_missing_data(zygote: Zygote, by: str) -> None:
    with (
        MlflowServer() as server,
        home(zygote, tracking_uri=server.uri, epoch_seconds=0.05) as sessions,
    ):
        pid = start(sessions, 10)
        server.kill()
        os.kill(pid, signal.SIGINT)  # after a signal it does not wait a minute for the server
        assert sessions.wait(pid) == 130
        server.start()
        assert diagnose(sessions.store_paths, fix=False).differences
        if by == "sweep":
            assert (
                sessions.run(*sweep(len(ended_well(sessions.home, STUDY)), 2, "--pruner", "none"))
                == 0
            )
        else:
            assert sessions.run("doctor", "--fix") == 0
        assert diagnose(sessions.store_paths, fix=False).differences == []
