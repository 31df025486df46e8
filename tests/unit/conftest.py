"""Unit tests: no process is started, and no backend is imported."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

_STARTING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
_BACKENDS = {"keras", "tensorflow", "jax", "torch"}

_at_work: list[str] = []
"""The unit test that runs, if one does: an audit hook stays for the life of the process."""


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if not _at_work:
        return
    if event in _STARTING and _is_there(event, arguments):
        raise AssertionError(f"a unit test starts a process: {arguments}")
    if event == "import" and arguments[0].partition(".")[0] in _BACKENDS:
        raise AssertionError(f"a unit test imports {arguments[0]}")


def _is_there(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether there is a program to start: nvidia-smi is asked for where it may not be."""
    return event != "subprocess.Popen" or shutil.which(str(arguments[0])) is not None


sys.addaudithook(_forbid)


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbid what makes a test more than a unit test."""
    _at_work.append(request.node.nodeid)
    yield
    _at_work.clear()
