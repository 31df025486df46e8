"""Runs of the command `assay`, and the study that many tests share."""

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
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object that `--json` prints as the only line of standard output."""
        (line,) = self.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        return answer


def assay(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run `assay` in a separate process."""
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
    """Run `assay` in this process, and restore the process state.

    This saves the imports of a process. Tests of signals, closed pipes and variables that a
    library reads only once need `assay`.
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
    """Restore what a command changes in the process; check the signal handlers."""
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
        )  # this process has more objects to free at its end than a command has
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
    assert handlers == {number: signal.getsignal(number) for number in handlers}


@dataclass(frozen=True)
class Swept:
    """The shared study of digits-mlp, with the answer of its sweep."""

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
