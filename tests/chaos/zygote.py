"""Process that forks `assay` commands.

It has imported their modules, so that hundreds of commands can be started quickly.

It reads and writes one JSON object per line. The answer to {"argv", "log", "out", "errors", ...} is
{"started": pid}; the answer to {"wait": pid} is {"status": n}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from assay.experiments.run import execution
from assay.search.workers.local_executor import LocalExecutor
from tests.chaos.points import Point, arm
from tests.chaos.trainer import EPOCH_SECONDS, LOG

_STUB = ("tests.chaos.trainer:preload", "tests.chaos.trainer:ChaosTrainer")
_REAL = (execution.PRELOAD, "tests.chaos.noting_trainer:NotingTrainer")

_MODULES = (
    "mlflow",
    "optuna",
    "assay.experiments.decision.finalize",
    "assay.experiments.run.sweep",
    "assay.experiments.tracking.recorder",
    "assay.search.recovery",
    "assay.search.study",
)


def main() -> None:
    for module in _MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            _send({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if pid == 0:
            _run_command(request)
        _send({"started": pid})


def _run_command(request: dict[str, Any]) -> None:
    """Run the command in this process; never return."""
    code = 70
    try:
        os.setsid()
        out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        errors = os.open(request["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (errors, 2)):
            os.dup2(descriptor, target)
        os.environ[LOG] = request["log"]
        os.environ[EPOCH_SECONDS] = str(request["epoch_seconds"])
        execution.PRELOAD, execution.TRAINER = _REAL if request["real"] else _STUB
        executors: list[LocalExecutor] = []
        start = LocalExecutor.start

        def started(self: LocalExecutor) -> None:
            executors.append(self)
            start(self)

        LocalExecutor.start = started  # type: ignore[method-assign]
        for point in request["points"]:
            arm(Point(**point), lambda: [pid for one in executors for pid in one.pids()])
        sys.argv = ["assay", *request["argv"]]
        from assay.experiments.cli import main

        main()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _send(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
