"""Worker processes: up, idle and gone."""

from __future__ import annotations

import time

import psutil

from assay.search.workers.executor import LocalExecutor


def wait_idle(executor: LocalExecutor, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(executor.idle()) < count:
        assert time.monotonic() < deadline, "workers did not come up"
        executor.wait(0.05)


def gone(pids: list[int], within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
