"""A trial of Assay's beside plain `fit`, in a process of its own with one thread."""

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
"""As each worker has, when there is one a core."""

WARM_UP = Configuration(hidden_units=8, batch_size=1000, activation="elu", learning_rate=1e-3)

_kept: dict[str, Any] = {}


def set_up(folder: Path) -> None:
    """Make data resident for both and train something else, so that neither pays for what a process does once."""
    from assay.models.worker.preload import (
        preload,  # here: whoever starts this process need not import a backend
    )

    preload()
    data = load_training_data(folder, "unit")
    _kept["train"] = data.scale.apply(data.x_train), data.y_train[:]
    _kept["validation"] = data.scale.apply(data.x_validation), data.y_validation[:]
    _kept["folder"] = folder
    by_assay(WARM_UP, 1)
    by_fit(WARM_UP, 1)


def by_assay(configuration: Configuration, epochs: int) -> float:
    """Return the seconds from a trial's beginning to its end, compiling and forgetting included."""
    from assay.models.worker.trainer import (
        Trainer,  # here: whoever starts this process need not import a backend
    )

    # A new one, which has compiled nothing for an earlier round; its data are there once it has
    # begun anything.
    trainer = Trainer(THREADS)
    trainer.begin(spec(WARM_UP, _kept["folder"], 1))

    def train() -> None:
        trainer.begin(spec(configuration, _kept["folder"], epochs))
        for _ in range(epochs):
            trainer.epoch()
        trainer.finish(None)

    return _seconds(train)


def by_fit(configuration: Configuration, epochs: int) -> float:
    """Return the same of plain `fit`."""
    import keras  # here: whoever starts this process need not import a backend

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
