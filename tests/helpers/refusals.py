"""Checks of refused commands: exit code 2, one line, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import invoke

Fails = Callable[..., str]


def harmless(path: Path) -> bool:
    """Whether a file is prepared data or a lock, which a refused command may leave."""
    return "data" in path.parts or path.suffix == ".lock"


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Return a function that runs a command, checks its refusal, and returns the line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # hide the GPUs of this machine

    def run(*arguments: str, home: str = "home") -> str:
        done = invoke(*arguments, "--home", home)
        assert (done.code, done.out) == (2, ""), done.err
        (line,) = done.err.splitlines()
        assert line.startswith("assay: ")
        written = [path for path in Path(home).rglob("*") if path.is_file() and not harmless(path)]
        assert not written, "something was written"
        return line

    return run
