"""Waiting for worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from assay.search.workers.protocol import Executor
from tests.helpers.waiting import wait_until

ENDLESS_SECONDS = 3600
"""Length of an epoch that never ends by itself in a test."""


def wait_idle(executor: Executor, count: int) -> None:
    """Return once the executor can begin this many trials."""

    def is_up() -> bool:
        executor.wait(0.05)
        return len(executor.idle()) >= count

    if len(executor.idle()) < count:
        wait_until(is_up)


def wait_gone(pids: Sequence[int]) -> None:
    """Return once all processes have ended."""
    wait_until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
