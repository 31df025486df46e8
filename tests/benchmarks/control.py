"""What a trial costs beside its training: asking, handing out, hearing, drawing, recording it in three places.

Everything is real but the training, of which there is none: three epochs of a stub on one worker. A
session's cost is the median time from one trial's end to the next, and its share of what MLflow
still had to take in when the last had ended. Between the sessions the study is filled up with
complete trials, added to Optuna and to the journal in bulk; MLflow hears of them as it would of any
that were tried while it was away, before the next session begins.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from assay.search.workers.executor import LocalExecutor
from tests.benchmarks.row import Row
from tests.benchmarks.stub_sweep import StubSweep, fill, stub_worker


def rows(quick: bool) -> Iterator[Row]:
    early, middle, late = (10, 50, 100) if quick else (100, 1_000, 10_000)
    with tempfile.TemporaryDirectory() as name, stub_worker() as worker:
        folder = Path(name)
        first = _session(folder, worker, early)
        fill(folder, middle - early - early // 2)
        near = _session(folder, worker, early)
        yield Row(
            f"control plane, a trial around {middle:,} over one of the first {early}",
            near["milliseconds"] / first["milliseconds"],
            *("x", 1.5, 1.2, "less"),
            {"first": first, "around": near},
        )
        fill(folder, late - middle - early)
        last = _session(folder, worker, early // 2)
        yield Row(
            f"control plane, a trial around {late:,}",
            last["milliseconds"],
            "ms",
            150,
            60,
            "less",
            last,
        )
        yield Row(
            f"taking up a study of {late:,} trials",
            last["opening_seconds"],
            "s",
            None,
            None,
            "less",
        )
        behind = late - middle - early
        each = 1000 * last["catching_up_seconds"] / behind
        yield Row(f"MLflow hearing of {behind:,} trials, each", each, "ms", None, None, "less")


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
