"""Commands with a storage or a tracking database that is away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.chaos.cases import STUDY
from tests.helpers.command import SWEEP, invoke
from tests.helpers.limits import time_limit


@pytest.mark.parametrize(
    "verb", [("list", "studies"), ("show", STUDY), ("doctor",), ("delete", STUDY, "--yes")]
)
def test_read_only_commands_do_not_wait_for_an_unreachable_storage(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    away = "postgresql+psycopg://assay:hunter2@127.0.0.1:9/none"
    done = invoke(*verb, "--home", str(tmp_path / "home"), "--storage", away)
    if verb[0] == "doctor":  # it knows no study in that storage
        assert done.code == 0
    else:
        assert done.code == 2
        (line,) = done.err.splitlines()
        assert line.startswith(
            "assay: the storage postgresql+psycopg://assay:***@127.0.0.1:9/none can't be reached"
        )


TRACKING = "postgresql+psycopg://assay:hunter2@127.0.0.1:{port}/none"


@pytest.mark.parametrize(
    "verb", [("show", "a" * 32), (*SWEEP, "--trials", "1")], ids=["show", "sweep"]
)
def test_a_tracking_database_that_refuses_is_not_waited_for(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    away = TRACKING.format(port=9)
    with time_limit(60):  # MLflow tries for 132 s
        done = invoke(*verb, "--home", str(tmp_path / "home"), "--tracking-uri", away)
    assert done.code == 2
    assert "hunter2" not in done.err
    assert done.err.splitlines()[-1].startswith(
        "assay: the tracking store postgresql+psycopg://assay:***@127.0.0.1:9/none can't be reached"
    )


def test_a_tracking_database_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, time_limit(60):
        away = TRACKING.format(port=silent.getsockname()[1])
        done = invoke("show", "a" * 32, "--home", str(tmp_path / "home"), "--tracking-uri", away)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert "can't be reached" in line
