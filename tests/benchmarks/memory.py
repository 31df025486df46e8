"""How memory grows from trial 100 to trial 1,000: of the supervisor, and of a worker that is never replaced.

The supervisor is a real one with all it writes and draws, of a stub that trains nothing. The
worker's trials are real: two epochs on scikit-learn's digits, each of a width, an activation and an
optimizer drawn from so many that few recur.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from assay.experiments.data.preparation import prepare
from assay.experiments.data.settings import DataSettings
from tests.benchmarks.children import child
from tests.benchmarks.row import Row
from tests.benchmarks.stub_sweep import StubSweep, stub_worker

_ACTIVATIONS, _OPTIMIZERS = ("sigmoid", "tanh", "relu"), ("adam", "momentum", "rmsprop", "sgd")


def rows(quick: bool) -> Iterator[Row]:
    """Measure both, each in a process of its own."""
    marks = (10, 30) if quick else (100, 1_000)
    goals = {"supervisor": (50, 20, supervisor), "worker": (300, 100, worker)}
    for name, (goal, stretch, grow) in goals.items():
        with child() as pool:
            before, after = pool.submit(grow, marks).result()
        measure = f"growth of the {name}, trial {marks[0]:,} to {marks[1]:,}"
        yield Row(
            measure,
            after - before,
            "MB",
            goal,
            stretch,
            "less",
            {"resident_megabytes": [before, after]},
        )


def supervisor(marks: Sequence[int]) -> list[float]:
    """Return the resident size of this process in MB after so many trials of a study."""
    sizes = []
    with tempfile.TemporaryDirectory() as folder, stub_worker() as executor:
        sweep = StubSweep(Path(folder), executor)
        for mark in marks:
            sweep.run(mark - sweep.trials.count_done())
            sweep.wait_for_mlflow()
            sizes.append(_megabytes())
        sweep.close()
    return sizes


def worker(marks: Sequence[int]) -> list[float]:
    """Return the resident size of this process in MB after so many trainings."""
    from assay.models.worker.preload import (
        preload,  # here, because the process that measures must not import Keras
    )
    from assay.models.worker.trainer import Trainer

    preload()
    trainer, chance, sizes = Trainer(threads=1), random.Random(0), []
    with tempfile.TemporaryDirectory() as home:
        folder = prepare(DataSettings(name="digits"), Path(home), Path(home)).folder
        for number in range(max(marks)):
            trainer.begin(_assignment(number, chance, folder))
            trainer.epoch()
            trainer.epoch()
            trainer.finish(None)
            if number + 1 in marks:
                sizes.append(_megabytes())
    return sizes


def _assignment(number: int, chance: random.Random, folder: Path) -> dict[str, Any]:
    return {
        "seed": number,
        "family": "mlp",
        "model": {
            "hidden_units": chance.randrange(16, 257),
            "activation": chance.choice(_ACTIVATIONS),
        },
        "train": {
            "epochs": 2,
            "batch_size": chance.choice((32, 64, 128)),
            "learning_rate": 10 ** chance.uniform(-4, -2),
            "optimizer": chance.choice(_OPTIMIZERS),
        },
        "data": {"folder": str(folder), "scale": "unit"},
    }


def _megabytes() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)
