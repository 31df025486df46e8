"""Forks commands `assay` from a process that has imported all that they need, so that hundreds can be started.

One JSON object a line: in {"argv", "log", "out", "errors", ...}, out {"started": pid}; in {"wait":
pid}, out {"status": n}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from assay.experiments.run import execution
from assay.search.workers.executor import LocalExecutor
from tests.chaos.points import Point, arm
from tests.chaos.trainer import EPOCH_SECONDS, LOG

_STUB = ("tests.chaos.trainer:preload", "tests.chaos.trainer:ChaosTrainer")
_REAL = (execution.PRELOAD, "tests.chaos.noting_trainer:NotingTrainer")

_MODULES = (
    "mlflow",
    "optuna",
    "assay.experiments.run.sweep",
    "assay.experiments.tracking.recorder",
    "assay.search.recovery",
    "assay.search.study",
)


def main() -> None:
    for module in _MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            _say({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if pid == 0:
            _become(asked)
        _say({"started": pid})


def _become(asked: dict[str, Any]) -> None:
    """Run the command in this process, and never return."""
    code = 70
    try:
        os.setsid()
        out = os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        errors = os.open(asked["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (errors, 2)):
            os.dup2(descriptor, target)
        os.environ[LOG] = asked["log"]
        os.environ[EPOCH_SECONDS] = str(asked["epoch_seconds"])
        execution.PRELOAD, execution.TRAINER = _REAL if asked["real"] else _STUB
        executors: list[LocalExecutor] = []
        start = LocalExecutor.start

        def started(self: LocalExecutor) -> None:
            executors.append(self)
            start(self)

        LocalExecutor.start = started  # type: ignore[method-assign]
        for point in asked["points"]:
            arm(Point(**point), lambda: [pid for one in executors for pid in one.pids()])
        sys.argv = ["assay", *asked["argv"]]
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


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
