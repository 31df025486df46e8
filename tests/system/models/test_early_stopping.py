"""Early stopping, and restoring of the best epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.data import load_training_data
from assay.models.recipe import test as measure
from assay.models.training.early_stopping import EarlyStopping
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign

NAN = float("nan")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1), keras.layers.BatchNormalization()]
    )


@pytest.mark.parametrize(
    ("patience", "losses", "stops_after", "best"),
    [
        (1, [3, 2, 2.5, 1], 3, 2),
        (2, [3, 2, 2.5, 1, 1, 2, 0.5], 6, 4),
        (2, [3, 2, 1], None, 3),
        (3, [1, 2, 3], None, 1),
        (1, [1, 1], 2, 1),  # an equal value is not better
        (1, [NAN, NAN], 2, 1),
        (2, [NAN, 5, NAN, 4], None, 4),
    ],
)
def test_it_stops_after_epochs_without_improvement(
    model: keras.Model, patience: int, losses: list[float], stops_after: int | None, best: int
) -> None:
    stopping = EarlyStopping(patience)
    for epoch, loss in enumerate(losses, start=1):
        model.set_weights([np.full(weights.shape, float(epoch)) for weights in model.get_weights()])
        if stopping.on_epoch_end(model, {"val_loss": loss, "loss": -loss}):
            break
    assert epoch == (stops_after or len(losses))
    restored = stopping.restore_best(model)
    assert restored.epoch == best
    assert restored.metrics["loss"] == pytest.approx(-losses[best - 1], nan_ok=True)
    assert all(np.all(weights == best) for weights in model.get_weights())


def test_nothing_is_restored_before_the_first_epoch(model: keras.Model) -> None:
    with pytest.raises(RuntimeError, match="before the first epoch"):
        EarlyStopping(1).restore_best(model)


def replies(trainer: Trainer, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Train until the trainer reports the end."""
    trainer.begin(spec)
    found = [trainer.epoch()]
    while "restored" not in found[-1]:
        found.append(trainer.epoch())
    return found


OVERSHOOTING = {"optimizer": "momentum", "learning_rate": 0.3, "early_stopping": 2, "epochs": 20}


def test_a_stopped_trial_has_the_model_of_its_best_epoch(
    trainer: Trainer, folder: Path, tmp_path: Path
) -> None:
    said = replies(trainer, assign(folder, train=OVERSHOOTING))
    with pytest.raises(RuntimeError, match=f"trained all of its {len(said)} epochs"):
        trainer.epoch()
    trainer.finish(str(tmp_path / "model.keras"))
    losses = [reply["metrics"]["val_loss"] for reply in said]
    best = int(np.argmin(losses))
    assert said[-1]["restored"] == {"epoch": best + 1, "metrics": said[best]["metrics"]}
    assert said[-1]["stopped"] is True
    assert best + 1 == len(said) - 2
    assert all(set(reply) == {"metrics", "seconds"} for reply in said[:-1])
    data = load_training_data(folder, "unit")
    tested = measure(
        keras.saving.load_model(tmp_path / "model.keras"),
        data.scale.apply(data.x_validation),
        data.y_validation,
    )
    assert tested["loss"] == pytest.approx(losses[best], rel=1e-5)


def test_the_best_epoch_is_restored_after_the_last_epoch(trainer: Trainer, folder: Path) -> None:
    stopped = replies(trainer, assign(folder, train=OVERSHOOTING))
    to_the_end = replies(trainer, assign(folder, train={**OVERSHOOTING, "epochs": len(stopped)}))
    assert "stopped" not in to_the_end[-1]
    assert to_the_end[-1]["restored"] == stopped[-1]["restored"]


def test_without_early_stopping_a_reply_has_metrics_and_seconds(
    trainer: Trainer, folder: Path
) -> None:
    trainer.begin(assign(folder))
    assert [set(trainer.epoch()) for _ in range(2)] == [{"metrics", "seconds"}] * 2
