"""How long a user waits for the first words."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.mnist import mnist
from tests.benchmarks.prepared import prepared
from tests.benchmarks.processes import MeasureError, end, environment, run
from tests.benchmarks.row import Row
from tests.benchmarks.sides import ASSAY

NEEDS_MNIST = True
EXPERIMENT = "mnist-mlp"


def rows(quick: bool, repeats: int = 7) -> Iterator[Row]:
    """Ask for help, and for sweeps that are stopped once they have said something."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder, tries = Path(place), 2 if quick else repeats
        help_seconds = [run([ASSAY, "--help"], folder).seconds for _ in range(tries + 1)][1:]
        yield _row("assay --help", help_seconds, 0.5, 0.3)
        what = "assay sweep until its first line"
        new = [_first_line(folder / f"home-{number}") for number in range(tries)]
        yield _row(f"{what}, in a new home", new, 1.5, 1.0)
        prepared(mnist(), folder / "home")
        again = [_first_line(folder / "home") for _ in range(tries)]
        yield _row(f"{what}, in a home that has the data", again, 1.5, 1.0)


def _row(measure: str, seconds: list[float], goal: float, stretch: float) -> Row:
    return Row(measure, median(seconds), "s", goal, stretch, "less", {"seconds": seconds})


def _first_line(home: Path) -> float:
    """Return the seconds until a sweep writes a first line to a pipe."""
    command = [ASSAY, "sweep", EXPERIMENT, "--home", str(home), "--data-dir", str(mnist().parent)]
    started = time.perf_counter()
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
    with process.stderr:
        line = process.stderr.readline()
        seconds = time.perf_counter() - started
        end(process)
    if not line.startswith(EXPERIMENT):
        raise MeasureError(f"{' '.join(command)} began with {line!r}")
    return seconds
