"""The main module of the process that prepares data; it lives for one data set.

    python -m assay.experiments.data.child

It reads a `PreparationJob` as one line of JSON and writes its answer as one line of JSON: "folder",
"error" for a wrong request, or "failure" if home cannot be written or memory ran out. Any other
exception is a traceback and exit code 1. The process ends on SIGTERM, when its standard input is
closed, and when its parent is gone; it leaves nothing half-written.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.child_process import PreparationJob
from assay.experiments.data.settings import DataSettings
from assay.models.errors import RequestError, SearchError

PARENT_CHECK_SECONDS = 1.0
"""How often the parent's existence is checked, in case another process keeps the pipe open."""


def main() -> None:
    """Run one job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGTERM, _exit_on_signal)
    # Libraries that print would spoil the answer: their standard output goes to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = PreparationJob(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_exit_with_parent, args=(job.parent,), daemon=True).start()
    print(json.dumps(_run_job(job)), file=answers, flush=True)


def _run_job(job: PreparationJob) -> dict[str, str]:
    try:
        settings = DataSettings.read(job.settings, "[data]")
        folder = ensure_prepared(
            settings, Path(job.home), Path(job.data_dir), Path(job.base), job.task
        )
        return {"folder": str(folder)}
    except RequestError as error:
        return {"error": str(error)}
    except SearchError as error:
        return {"failure": str(error)}
    except MemoryError as error:
        # Python's own MemoryError has no text, NumPy's has one.
        cause = f" ({error})" if str(error) else ""
        return {
            "failure": f"{job.settings['name']} must fit into this machine's memory, and does "
            f"not{cause}: free some, or prepare a smaller data set."
        }


def _exit_on_signal(_number: int, _frame: FrameType | None) -> None:
    # A second SIGTERM must not interrupt the removal of half-written files.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _exit_with_parent(parent: int) -> None:
    """End this process when its parent is gone or has closed the pipe."""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], PARENT_CHECK_SECONDS)
        if readable:  # nothing is sent after the job: readable means closed
            break
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
