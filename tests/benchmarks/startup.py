"""Startup times of the command `assay`."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from assay.search.events import TrialBegun
from assay.search.journal import read_events
from tests.benchmarks.mnist import mnist
from tests.benchmarks.prepared import prepared
from tests.benchmarks.processes import MeasureError, end, environment, run
from tests.benchmarks.row import Row
from tests.benchmarks.sides import ASSAY

NEEDS_MNIST = True
EXPERIMENT = "mnist-mlp"
_TIMEOUT_SECONDS = 120


def rows(quick: bool, repeats: int = 7) -> Iterator[Row]:
    """Measure `assay --help` and `assay sweep`.

    Each sweep is killed once its first trial has begun.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder, tries = Path(place), 2 if quick else repeats
        help_seconds = [run([ASSAY, "--help"], folder).seconds for _ in range(tries + 1)][1:]
        yield _row("assay --help", help_seconds, 0.5, 0.3)
        fresh = [_start(folder / f"home-{number}") for number in range(tries)]
        prepared(mnist(), folder / "home")
        again = [_start(folder / "home") for _ in range(tries)]
        for where, starts in {"new home": fresh, "home with prepared data": again}.items():
            lines, trials = zip(*starts, strict=True)
            yield _row(f"assay sweep until its first line, {where}", lines, 1.5, 1.0)
            yield _row(f"assay sweep until its first trial starts, {where}", trials, None, None)


def _row(measure: str, seconds: Sequence[float], goal: float | None, stretch: float | None) -> Row:
    return Row(measure, median(seconds), "s", goal, stretch, "less", {"seconds": list(seconds)})


def _start(home: Path) -> tuple[float, float]:
    """Return the seconds to a sweep's first line and to its first trial.

    The sweep writes the line to standard error, which is a pipe.
    """
    study = f"study-{time.time_ns()}"
    store_paths = ["--home", str(home), "--data-dir", str(mnist().parent)]
    command = [ASSAY, "sweep", EXPERIMENT, "--study", study, *store_paths]
    started, started_at = time.perf_counter(), time.time()
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        with process.stderr:
            line = process.stderr.readline()
            seconds = time.perf_counter() - started
            if not line.startswith(EXPERIMENT):
                raise MeasureError(
                    f"{' '.join(command)} printed an unexpected first line: {line!r}"
                )
            return seconds, _first_begin(home / "journal" / f"{study}.jsonl") - started_at
    finally:
        end(process)


def _first_begin(journal: Path) -> float:
    """Wait for the first trial; return when it began, in Unix time.

    Raises:
        MeasureError: no trial began in time.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if journal.exists():
            for event, _ in read_events(journal):
                if isinstance(event, TrialBegun):
                    return event.time
        time.sleep(0.02)
    raise MeasureError(f"no trial began within {_TIMEOUT_SECONDS} s")
