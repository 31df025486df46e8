"""A worker releases the TensorFlow graphs of finished trials."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from assay.models.worker import cache
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign


@pytest.fixture(autouse=True)
def what_was_there_is_left_out() -> Iterator[None]:
    """Freeze existing objects: garbage collection of other tests' objects takes seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def graphs() -> int:
    """Return the number of living TensorFlow graphs that were made since."""
    gc.collect()
    return sum("FuncGraph" in type(thing).__name__ for thing in gc.get_objects())


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends trace no such graphs"
)
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"optimizer": "sgd", "weight_decay": 0.01},
        {"optimizer": "adamw", "clip_norm": 1.0},
        {"optimizer": "momentum", "schedule": "cosine"},
        {"optimizer": "rmsprop", "early_stopping": 1},
    ],
    ids=str,
)
def test_trials_of_many_shapes_release_their_graphs(
    trainer: Trainer, folder: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MOST_PROGRAMS", 1)
    alive = []
    for units in (3, 4, 5, 6):
        trainer.begin(
            assign(folder, model={"hidden_units": units}, train={**settings, "epochs": 1})
        )
        trainer.epoch()
        trainer.finish(None)
        alive.append(graphs())
    assert len(set(alive[1:])) == 1
