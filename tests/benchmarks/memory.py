"""Memory growth of the supervisor and of a worker.

It is measured from trial 100 to trial 1,000. The supervisor is real, with its stores and its
display, and its workers train nothing. The worker is never replaced, and its trials are real: two
epochs on scikit-learn's digits. The width, the activation and the optimizer of a trial are drawn
at random from so many combinations that few recur.
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
    """Measure both, each in its own process."""
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
    """Run a stub sweep; return the resident size in MB at each mark.

    Args:
        marks: numbers of trials after which the size is measured.
    """
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
    """Train real trials; return the resident size in MB at each mark.

    Args:
        marks: numbers of trials after which the size is measured.
    """
    # Imported here, because the parent process must not import Keras.
    from assay.models.worker.preload import preload
    from assay.models.worker.trainer import Trainer

    preload()
    trainer, rng, sizes = Trainer(threads=1), random.Random(0), []
    with tempfile.TemporaryDirectory() as home:
        folder = prepare(DataSettings(name="digits"), Path(home), Path(home)).folder
        for number in range(max(marks)):
            trainer.begin(_trial_spec(number, rng, folder))
            trainer.epoch()
            trainer.epoch()
            trainer.finish(None)
            if number + 1 in marks:
                sizes.append(_megabytes())
    return sizes


def _trial_spec(number: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    return {
        "seed": number,
        "family": "mlp",
        "model": {
            "hidden_units": rng.randrange(16, 257),
            "activation": rng.choice(_ACTIVATIONS),
        },
        "train": {
            "epochs": 2,
            "batch_size": rng.choice((32, 64, 128)),
            "learning_rate": 10 ** rng.uniform(-4, -2),
            "optimizer": rng.choice(_OPTIMIZERS),
        },
        "data": {"folder": str(folder), "scale": "unit"},
    }


def _megabytes() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)
