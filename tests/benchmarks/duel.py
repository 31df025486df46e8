"""Trials by Assay and by plain `fit`, for a child process.

Assay trains with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.models.data import load_training_data
from tests.benchmarks.configurations import Configuration
from tests.benchmarks.peers.common import network
from tests.benchmarks.prepared import spec

THREADS = 1
"""Number of threads, as in a worker when there is one worker per core."""

WARM_UP = Configuration(hidden_units=8, batch_size=1000, activation="elu", learning_rate=1e-3)

_kept: dict[str, Any] = {}


def set_up(folder: Path) -> None:
    """Load the data for both sides and train another network.

    The training moves one-time costs of the process out of the measured time.
    """
    # Imported here, because the parent process must not import a backend.
    from assay.models.worker.preload import preload

    preload()
    data = load_training_data(folder, "unit")
    _kept["train"] = data.scale.apply(data.x_train), data.y_train[:]
    _kept["validation"] = data.scale.apply(data.x_validation), data.y_validation[:]
    _kept["folder"] = folder
    by_assay(WARM_UP, 1)
    by_fit(WARM_UP, 1)


def by_assay(configuration: Configuration, epochs: int) -> float:
    """Return the seconds of a trial by Assay.

    They include the compilation and the cleanup after the trial.
    """
    # Imported here, because the parent process must not import a backend.
    from assay.models.worker.trainer import Trainer

    # A new trainer has no compiled code from an earlier trial. Its first `begin` loads the data.
    trainer = Trainer(THREADS)
    trainer.begin(spec(WARM_UP, _kept["folder"], 1))

    def train() -> None:
        trainer.begin(spec(configuration, _kept["folder"], epochs))
        for _ in range(epochs):
            trainer.epoch()
        trainer.finish(None)

    return _seconds(train)


def by_fit(configuration: Configuration, epochs: int) -> float:
    """Return the seconds of the same training by plain `fit`."""
    # Imported here, because the parent process must not import a backend.
    import keras

    def train() -> None:
        keras.utils.set_random_seed(0)
        model = network(
            configuration["hidden_units"],
            configuration["activation"],
            configuration["learning_rate"],
        )
        x, y = _kept["train"]
        batch_size, validation = configuration["batch_size"], _kept["validation"]
        model.fit(x, y, batch_size=batch_size, epochs=epochs, validation_data=validation, verbose=0)
        del model
        keras.backend.clear_session()

    return _seconds(train)


def _seconds(train: Callable[[], None]) -> float:
    started = time.perf_counter()
    train()
    return time.perf_counter() - started
