"""Whole processes, measured from outside."""

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
_LAST_WORDS_CHARACTERS = 2000
# What would lead a side elsewhere than into its own folder, or slow down whoever's modules are not
# compiled yet.
_UNWANTED = (
    "ASSAY_HOME",
    "ASSAY_STORAGE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "PYTHONDONTWRITEBYTECODE",
)


class MeasureError(Exception):
    """A measure has no figure: what it ran failed."""


@dataclass(frozen=True)
class Done:
    """A process that ended well, with its wall time from start to end."""

    seconds: float
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """Return the variables that all sides run with: our modules at hand, the default backend, nobody calling home."""
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
    """Run a command in a folder to its end, and leave nothing of it running.

    Raises:
        MeasureError: it failed, or took longer than half an hour.
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
        last = err.strip()[-_LAST_WORDS_CHARACTERS:]
        raise MeasureError(f"{' '.join(command)} ended with {process.returncode}: {last}")
    return Done(seconds, out, err)


def end(process: subprocess.Popen[str]) -> None:
    """End a process that leads a session, and all that it started there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
