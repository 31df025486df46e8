"""The trainer of a worker process."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.data import load_training_data
from assay.models.errors import RequestError
from assay.models.recipe import test as measure
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign, write_folder


def train(trainer: Trainer, spec: dict[str, Any]) -> list[dict[str, float]]:
    trainer.begin(spec)
    return [trainer.epoch()["metrics"] for _ in range(spec["train"]["epochs"])]


def test_a_trial_from_begin_to_finish(trainer: Trainer, folder: Path, tmp_path: Path) -> None:
    parameters = trainer.begin(
        assign(folder, model={"hidden_units": 4}, train={"epochs": 3, "learning_rate": 0.05})
    )
    assert parameters == {"parameters": 64 * 4 + 4 + 4 * 3 + 3}
    epochs = [trainer.epoch() for _ in range(3)]
    costs = trainer.finish(str(tmp_path / "trial.keras"))
    with pytest.raises(RuntimeError, match="no trial is under way"):
        trainer.epoch()
    assert epochs[-1]["metrics"]["loss"] < epochs[0]["metrics"]["loss"]
    assert costs["train_seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in epochs))
    assert costs["epoch_seconds"] == pytest.approx(sorted(epoch["seconds"] for epoch in epochs)[1])
    assert json.loads(json.dumps([parameters, epochs, costs])) == [parameters, epochs, costs]

    data = load_training_data(folder, "unit")
    kept = keras.saving.load_model(tmp_path / "trial.keras")
    tested = measure(kept, data.scale.apply(data.x_validation), data.y_validation)
    assert tested["loss"] == pytest.approx(epochs[-1]["metrics"]["val_loss"], rel=1e-5)


def test_a_regression_is_trained_and_measured_by_its_loss(
    trainer: Trainer, rows: Path, tmp_path: Path
) -> None:
    spec = assign(
        rows, "linear", task="regression", scale="none", train={"epochs": 30, "learning_rate": 0.05}
    )
    epochs = train(trainer, spec)
    trainer.finish(str(tmp_path / "trial.keras"))
    assert list(epochs[0]) == ["loss", "mae", "val_loss", "val_mae"]
    assert epochs[-1]["val_mae"] < 0.05
    data = load_training_data(rows, "none")
    kept = keras.saving.load_model(tmp_path / "trial.keras")
    off = np.asarray(kept(np.asarray(data.x_validation))) - data.y_validation
    assert epochs[-1]["val_mae"] == pytest.approx(np.abs(off).mean(), rel=1e-4)
    assert epochs[-1]["val_loss"] == pytest.approx((off**2).mean(), rel=1e-4)
    tested = measure(kept, np.asarray(data.x_validation), np.asarray(data.y_validation))
    assert tested == pytest.approx(
        {"loss": epochs[-1]["val_loss"], "mae": epochs[-1]["val_mae"]}, rel=1e-4
    )


def test_the_same_seed_gives_the_same_numbers(trainer: Trainer, folder: Path) -> None:
    first = train(trainer, assign(folder, "cnn", model={"filters": 4, "dropout": 0.2}))
    train(trainer, assign(folder, "linear"))
    again = train(trainer, assign(folder, "cnn", model={"filters": 4, "dropout": 0.2}))
    other = train(trainer, assign(folder, "cnn", model={"filters": 4, "dropout": 0.2}, seed=4))
    assert first == again
    assert first != other


def test_the_scale_changes_the_training(trainer: Trainer, folder: Path) -> None:
    assert train(trainer, assign(folder, scale="unit")) != train(
        trainer, assign(folder, scale="standard")
    )


def test_data_prepared_again_in_the_same_folder_are_read_again(
    trainer: Trainer, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "changing")
    before = train(trainer, assign(folder))
    write_folder(folder, digest="1" * 64)
    np.save(folder / "x_train.npy", 255 - np.load(folder / "x_train.npy"))
    assert train(trainer, assign(folder)) != before


def test_a_dropped_trial_leaves_nothing_behind(trainer: Trainer, folder: Path) -> None:
    undisturbed = train(trainer, assign(folder))
    trainer.begin(assign(folder, "linear", seed=9))
    trainer.epoch()
    trainer.drop()
    trainer.drop()
    with pytest.raises(RuntimeError, match="no trial is under way"):
        trainer.epoch()
    assert train(trainer, assign(folder)) == undisturbed


def test_a_loss_that_is_not_finite_is_returned_unchanged(trainer: Trainer, folder: Path) -> None:
    diverging = {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 3}
    metrics = train(trainer, assign(folder, scale="none", train=diverging))[-1]
    assert not math.isfinite(metrics["loss"])


def test_more_epochs_than_assigned_are_refused(trainer: Trainer, folder: Path) -> None:
    train(trainer, assign(folder))
    with pytest.raises(RuntimeError, match="trained all of its 2 epochs"):
        trainer.epoch()


def test_a_model_that_cannot_be_saved_leaves_no_partial_file(
    trainer: Trainer, folder: Path, tmp_path: Path
) -> None:
    train(trainer, assign(folder))
    taken = tmp_path / "kept" / "taken.keras"
    taken.mkdir(parents=True)
    assert "taken" in trainer.finish(str(taken))["unsaved"]
    assert list(taken.parent.iterdir()) == [taken]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "mpl"}, "unknown family 'mpl'.*Did you mean 'mlp'"),
        ({"model": {"hidden_unit": 3}}, r"\[model\] does not know 'hidden_unit'.*'hidden_units'"),
        ({"train": {"epochs": 0}}, r"\[train\] epochs: .*received 0"),
        ({"seed": -1}, "the trial seed: .*received -1"),
        ({"task": "clustering"}, "the trial task: .*received 'clustering'"),
        (
            {"task": "regression"},
            "received regression on thirds, prepared for classification; change the task",
        ),
        (
            {"task": "regression", "train": {"loss": "hinge"}},
            r"\[train\] loss: .*received 'hinge'; use one of squared_",
        ),
        (
            {"train": {"shift": 8}},
            r"\[train\] shift: .*received shift = 8 with images of 8 x 8 pixels; .* at most 7",
        ),
        ({"data": {"folder": "/nowhere"}}, "must be complete, but /nowhere/meta.json is not"),
    ],
)
def test_an_invalid_trial_spec_is_refused(
    trainer: Trainer, folder: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        trainer.begin({**assign(folder), **change})
