"""Processes that are measured from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LIMIT_SECONDS = 1800
_ERROR_TAIL_CHARACTERS = 2000
# These would make a side write outside of its folder, or keep Python from caching bytecode.
_UNWANTED = (
    "ASSAY_HOME",
    "ASSAY_STORAGE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "PYTHONDONTWRITEBYTECODE",
)


class MeasureError(Exception):
    """A measure failed and has no figure."""


@dataclass(frozen=True)
class Done:
    """Process that ended with status 0.

    Args:
        seconds: wall time from start to end.
        out: standard output.
        err: standard error.
    """

    seconds: float
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """Return the environment variables of all sides.

    They make this repository importable, select the TensorFlow backend and disable telemetry.

    Args:
        more: variables to add or replace.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        **more,
    }


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> Done:
    """Run a command in a folder, and kill the processes that it leaves.

    Raises:
        MeasureError: the command failed, or took longer than half an hour.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment() if variables is None else dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
        seconds = time.perf_counter() - started
    except subprocess.TimeoutExpired:
        raise MeasureError(f"{' '.join(command)} took longer than {LIMIT_SECONDS} s") from None
    finally:
        end(process)
    if process.returncode != 0:
        last = err.strip()[-_ERROR_TAIL_CHARACTERS:]
        raise MeasureError(f"{' '.join(command)} ended with {process.returncode}: {last}")
    return Done(seconds, out, err)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a session leader and the processes of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
