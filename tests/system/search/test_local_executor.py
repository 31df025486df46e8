"""Workers whose supervisor is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.lab import FIND_TESTS
from tests.helpers.workers import gone


def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = """
import time
from tests.helpers.lab import stub_workers
from tests.helpers.workers import wait_idle
with stub_workers(2) as executor:
    wait_idle(executor, 2)
    for worker in executor.idle():
        executor.call(worker, "begin", assignment={"name": 0, "curve": [1.0], "seconds": 60})
        executor.wait(1)
        executor.call(worker, "epoch")
    print(*executor.pids(), executor._nursery.pid, flush=True)
    time.sleep(60)
"""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **FIND_TESTS},
    )
    assert supervisor.stdout is not None
    pids = [int(pid) for pid in supervisor.stdout.readline().split()]
    assert len(pids) == 3
    supervisor.kill()
    supervisor.wait()
    assert gone(pids, within_seconds=10)
