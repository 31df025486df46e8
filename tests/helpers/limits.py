"""Limits of time and memory for tests of inputs that could take all of it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.helpers.paths import ROOT


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Fail the test if the block takes longer."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it took more than {seconds} s")  # no Exception, so nothing catches it

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_limited(
    code: str, *arguments: str, megabytes: int, seconds: int = 60
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process whose address space is limited.

    Args:
        code: the code, which can import `assay` and `tests`.
        *arguments: `sys.argv[1:]` of the process.
        megabytes: limit of its address space, libraries included.
        seconds: time limit, after which the process is killed and the test fails.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        # Each thread of OpenBLAS reserves address space.
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        preexec_fn=limit,
        timeout=seconds,
    )
