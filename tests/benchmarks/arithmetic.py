"""Arithmetic in training, relative to a large matrix product.

Both use all cores, and are measured in turn.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from assay.experiments.config.request import ExecutionRequest
from assay.experiments.run.execution import Execution
from assay.models.data import load_training_data
from assay.search.system.hardware import count_cores
from assay.search.workers.protocol import Executor, Method, Reply
from tests.benchmarks.children import child
from tests.benchmarks.configurations import Configuration
from tests.benchmarks.flop import training_flop
from tests.benchmarks.mnist import mnist
from tests.benchmarks.phases import wait_for
from tests.benchmarks.prepared import prepared, spec
from tests.benchmarks.processes import MeasureError
from tests.benchmarks.products import flop_rate
from tests.benchmarks.row import Row

NEEDS_MNIST = True
WIDTHS = (784, 512, 10)
CONFIGURATION = Configuration(
    hidden_units=WIDTHS[1], batch_size=128, activation="relu", learning_rate=1e-3
)


def rows(quick: bool, repeats: int = 5) -> Iterator[Row]:
    """Compare the FLOP/s of training with those of a matrix product.

    Every core trains at once, with the workers of a real sweep.
    """
    epochs, workers = (1 if quick else 3), count_cores()
    execution = Execution.choose(ExecutionRequest(backend="tensorflow", device="cpu"), workers)
    training: list[float] = []
    products: list[Mapping[str, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as place,
        execution.executor() as executor,
        child() as pool,
    ):
        folder = prepared(mnist(), Path(place))
        flop = (
            workers
            * epochs
            * training_flop(WIDTHS, load_training_data(folder, "unit").shape.train_images)
        )
        ready = wait_for(executor, workers)
        for _ in range(repeats):
            products.append(pool.submit(flop_rate).result())
            training.append(flop / _seconds(executor, ready, folder, epochs))
    fastest = max(median(rate[by] for rate in products) for by in products[0])
    yield Row(
        measure=f"arithmetic in training, {workers} workers, over a matrix product on all cores",
        value=median(training) / fastest,
        unit="",
        goal=0.5,
        stretch=0.7,
        better="more",
        detail={
            "training_flop_per_second": training,
            "product_flop_per_second": products,
            "epochs": epochs,
        },
        note=f"{median(training) / 1e9:.0f} of {fastest / 1e9:.0f} GFLOP/s",
    )


def _seconds(executor: Executor, workers: Sequence[int], folder: Path, epochs: int) -> float:
    """Return the seconds in which all workers train `epochs` epochs each.

    Before that, each worker trains one epoch that is not timed. The time includes validation,
    whose arithmetic is not counted, so the resulting rate is slightly too low.
    """
    _each(executor, workers, "begin", spec=spec(CONFIGURATION, folder, epochs + 1))
    _epochs(executor, workers, 1)
    started = time.perf_counter()
    _epochs(executor, workers, epochs)
    seconds = time.perf_counter() - started
    _each(executor, workers, "drop")
    return seconds


def _epochs(executor: Executor, workers: Sequence[int], epochs: int) -> None:
    """Train `epochs` epochs on each worker; no worker waits for another."""
    left = dict.fromkeys(workers, epochs)
    for worker in workers:
        executor.call(worker, "epoch")
    while any(left.values()):
        for worker in _answers(executor, 1):
            left[worker] -= 1
            if left[worker]:
                executor.call(worker, "epoch")


def _each(executor: Executor, workers: Sequence[int], method: Method, **arguments: Any) -> None:
    for worker in workers:
        executor.call(worker, method, **arguments)
    _answers(executor, len(workers))


def _answers(executor: Executor, count: int) -> list[int]:
    """Wait for at least `count` replies; return the workers that replied."""
    answered: list[int] = []
    while len(answered) < count:
        for message in executor.wait(1.0):
            if not isinstance(message, Reply):
                raise MeasureError(f"a worker did not train: {message}")
            answered.append(message.worker)
    return answered
