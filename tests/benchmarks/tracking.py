"""Delay of trials by tracking in MLflow.

A trial has ten epochs of 0.2 s, and twenty metrics. The figure is the additional wall time of
tracked trials over untracked ones, in percent, from the start of the first trial to the end of the
last. What MLflow receives after that delays no training, and does not count.

Two workers either sleep or compute during an epoch. Users' workers compute, which leaves no core to
the supervisor and to MLflow when the machine has two.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from tests.benchmarks.busy_trainer import METRICS, multiply
from tests.benchmarks.rounds import alternate
from tests.benchmarks.row import Row
from tests.benchmarks.stub_sweep import StubSweep, stub_worker

EPOCHS, EPOCH_SECONDS, WORKERS = 10, 0.2, 2
_TRAINER = "tests.benchmarks.busy_trainer:BusyTrainer"


def rows(quick: bool, repeats: int = 5) -> Iterator[Row]:
    """Run trials with and without tracking, in turn."""
    trials = 2 if quick else 10
    computing: dict[str, float] = {"products": _products(EPOCH_SECONDS)}
    for name, work in {"sleep": {"sleep_seconds": EPOCH_SECONDS}, "compute": computing}.items():
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for _, tracked in alternate((True, False), repeats):
            seconds[tracked].append(_seconds(trials, work, tracked))
        delay = 100 * (median(seconds[True]) / median(seconds[False]) - 1)
        detail = {"with": seconds[True], "without": seconds[False], "trials": trials}
        measure = f"delay by tracking, trials of 2 s, {METRICS} metrics, two workers that {name}"
        yield Row(measure, delay, "%", 1, 0.2, "less", detail)


def _seconds(trials: int, work: Mapping[str, float], tracked: bool) -> float:
    with tempfile.TemporaryDirectory() as folder, stub_worker(_TRAINER, WORKERS) as executor:
        sweep = StubSweep(
            Path(folder), executor, epochs=EPOCHS, pruner="none", work=work, tracked=tracked
        )
        began = time.perf_counter()
        sweep.run(trials)
        taken = time.perf_counter() - began
        sweep.close()
    return taken


def _products(seconds: float) -> int:
    """Return the number of products that take `seconds` on one core."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        multiply(1)
        done += 1
    return max(1, round(done * seconds))
