"""Read-only commands with an unreachable storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cases import STUDY
from tests.helpers.command import invoke


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
