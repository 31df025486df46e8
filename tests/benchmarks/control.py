"""Cost of a trial in addition to its training.

The cost covers asking for the trial, passing it to a worker, receiving its events, drawing the
display, and recording it in three stores. Everything is real except the training: one worker runs
three epochs of a stub.

The cost in a session is the median time from one trial's end to the next, plus each trial's share
of the time that MLflow needs after the last trial. Between sessions, complete trials are added to
Optuna and to the journal in bulk. The tracker passes them on to MLflow before the next session
begins, as it does after an outage of MLflow.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from assay.search.workers.local_executor import LocalExecutor
from tests.benchmarks.row import Row
from tests.benchmarks.stub_sweep import StubSweep, fill, stub_worker


def rows(quick: bool) -> Iterator[Row]:
    """Measure the cost at three sizes of the study."""
    early, middle, late = (10, 50, 100) if quick else (100, 1_000, 10_000)
    with tempfile.TemporaryDirectory() as name, stub_worker() as worker:
        folder = Path(name)
        first = _session(folder, worker, early)
        fill(folder, middle - early - early // 2)
        near = _session(folder, worker, early)
        yield Row(
            f"time per trial outside training, around trial {middle:,} "
            f"relative to the first {early}",
            near["milliseconds"] / first["milliseconds"],
            *("x", 1.5, 1.2, "less"),
            {"first": first, "around": near},
        )
        fill(folder, late - middle - early)
        last = _session(folder, worker, early // 2)
        yield Row(
            f"time per trial outside training, around trial {late:,}",
            last["milliseconds"],
            "ms",
            150,
            60,
            "less",
            last,
        )
        yield Row(
            f"resuming a study of {late:,} trials",
            last["opening_seconds"],
            "s",
            None,
            None,
            "less",
        )
        behind = late - middle - early
        each = 1000 * last["catching_up_seconds"] / behind
        yield Row(f"sending {behind:,} trials to MLflow, per trial", each, "ms", None, None, "less")


def _session(folder: Path, worker: LocalExecutor, trials: int) -> dict[str, float]:
    began = time.perf_counter()
    sweep = StubSweep(folder, worker)
    opened = time.perf_counter()
    sweep.wait_for_mlflow()
    caught_up = time.perf_counter()
    each = sweep.run(trials)
    drained = sweep.close()
    return {
        "opening_seconds": opened - began,
        "catching_up_seconds": caught_up - opened,
        "milliseconds": 1000 * (statistics.median(each) + drained / trials),
        "of_that_after_the_last": 1000 * drained / trials,
    }
