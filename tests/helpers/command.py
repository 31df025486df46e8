"""The command `assay`, as a user calls it, and one small study that many tests look at."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.cli import main
from tests.helpers.waiting import GUARD_SECONDS

ASSAY = [sys.executable, "-P", "-c", "from assay.experiments.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """What `--json` printed: the last line, and nothing else, on standard output."""
        (line,) = self.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        return answer


def assay(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run `assay` in a process of its own."""
    done = subprocess.run(
        [*ASSAY, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=GUARD_SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def invoke(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run `assay` in this process, which is left as it was.

    That spares the imports of a process. Signals, closed pipes and variables that a library reads
    only once take `assay`.
    """
    out, err = io.StringIO(), io.StringIO()
    with unchanged_process(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["assay", *arguments])
        for name, value in environment.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            main()
    assert isinstance(left.value.code, int)
    return Done(left.value.code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Undo what a command changes of the process that it runs in; signal handlers it must not leave changed."""
    folder, environment = Path.cwd(), dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    loggers = {name: logging.getLogger(name) for name in ("optuna", "mlflow")}
    levels = {name: logger.level for name, logger in loggers.items()}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        atexit.unregister(
            gc.freeze
        )  # at its end this process has more to look after than one command's
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
    assert handlers == {number: signal.getsignal(number) for number in handlers}


@dataclass(frozen=True)
class Swept:
    """A study of digits-mlp: its home and what the sweep answered."""

    home: Path
    answer: dict[str, Any]
    err: str


SWEEP = (
    "sweep",
    "digits-mlp",
    "--trials",
    "5",
    "--epochs",
    "4",
    "--seed",
    "3",
    "--workers",
    "2",
    "--json",
)
