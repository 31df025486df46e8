"""Workers of a killed supervisor."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from tests.helpers.lab import FIND_TESTS
from tests.helpers.workers import wait_gone

SUPERVISOR = """
import time
from tests.helpers.lab import stub_workers
from tests.helpers.waiting import wait_until
from tests.helpers.workers import ENDLESS_SECONDS, wait_idle

with stub_workers(2) as executor:
    wait_idle(executor, 2)
    for worker in executor.idle():
        spec = {"name": 0, "curve": [1.0], "seconds": ENDLESS_SECONDS}
        executor.call(worker, "begin", spec=spec)
        wait_until(lambda: executor.wait(1))
        executor.call(worker, "epoch")
    print(*executor.pids(), flush=True)
    time.sleep(ENDLESS_SECONDS)
"""


def test_workers_end_with_a_killed_supervisor() -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **FIND_TESTS},
    )
    assert supervisor.stdout is not None
    workers = [int(pid) for pid in supervisor.stdout.readline().split()]
    children = psutil.Process(supervisor.pid).children(recursive=True)
    assert len(workers) == 2
    assert set(workers) < {child.pid for child in children}, "the fork server is there too"
    supervisor.kill()
    supervisor.wait()
    wait_gone([child.pid for child in children])
