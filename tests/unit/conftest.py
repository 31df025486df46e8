"""Unit tests start no process and import no backend."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

_STARTING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
_BACKENDS = {"keras", "tensorflow", "jax", "torch"}

_at_work: list[str] = []
"""The running unit test, if any. An audit hook cannot be removed, so it reads this."""


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if not _at_work:
        return
    if event in _STARTING and _is_there(event, arguments):
        raise AssertionError(f"a unit test starts a process: {arguments}")
    if event == "import" and arguments[0].partition(".")[0] in _BACKENDS:
        raise AssertionError(f"a unit test imports {arguments[0]}")


def _is_there(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether the program exists; nvidia-smi may be absent."""
    return event != "subprocess.Popen" or shutil.which(str(arguments[0])) is not None


sys.addaudithook(_forbid)


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbid starting processes and importing backends."""
    _at_work.append(request.node.nodeid)
    yield
    _at_work.clear()
