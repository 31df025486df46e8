"""The short-lived process that prepares data: a line of JSON comes in, a line of JSON goes out.

    python -m assay.experiments.data.child

It ends, leaving nothing half-written, when it gets SIGTERM, when its standard input is closed, and
when its parent is gone. A request that was wrong is an answer; anything else that goes wrong is a
traceback and exit code 1.
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

from assay.experiments.data.build import ensure
from assay.experiments.data.process import Job
from assay.experiments.data.settings import DataSettings
from assay.models.errors import RequestError, SearchError

WATCH_SECONDS = 1.0
"""How soon a parent that is gone is noticed where something else keeps the pipe open."""


def main() -> None:
    """Answer one job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, _leave)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print is no answer
    job = Job(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_watch, args=(job.parent,), daemon=True).start()
    print(json.dumps(_answer(job)), file=answers, flush=True)


def _answer(job: Job) -> dict[str, str]:
    try:
        settings = DataSettings.read(job.settings, "[data]")
        return {
            "folder": str(
                ensure(settings, Path(job.home), Path(job.data_dir), Path(job.base), job.task)
            )
        }
    except RequestError as error:
        return {"error": str(error)}
    except SearchError as error:
        return {"failure": str(error)}


def _leave(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, and tidying up takes a moment
    sys.exit(128 + signal.SIGTERM)


def _watch(parent: int) -> None:
    """End this process when nobody waits for it any more."""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], WATCH_SECONDS)
        if readable:
            break
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
