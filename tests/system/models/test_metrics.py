"""The registry of metrics: every epoch measures each entry. On any backend."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from assay.models.data import load_training_data
from assay.models.training import metrics
from assay.models.training.metrics import Metric, metric_names
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import CLASSES, assign


def test_trials_report_the_names_of_the_registry() -> None:
    assert metric_names("classification") == ("loss", "accuracy")
    assert metric_names("regression") == ("loss", "mae")


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the macro F1 score: the mean over the classes of 2 TP / (2 TP + FP + FN)."""
    scores = []
    for label in range(len(CLASSES)):
        hits = np.sum((labels == label) & (predicted == label))
        scores.append(2 * hits / (np.sum(labels == label) + np.sum(predicted == label)))
    return float(np.mean(scores))


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_a_new_entry_is_measured(
    loss: str, trainer: Trainer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Metric(
        "f1",
        ("classification",),
        lambda one_hot: keras.metrics.F1Score(average="macro", name="f1"),
        needs_one_hot=True,
    )
    monkeypatch.setitem(metrics.METRICS, "f1", entry)  # type: ignore[arg-type]  # a dict, in fact
    assert metric_names("classification") == ("loss", "accuracy", "f1")
    spec = assign(folder, "linear", train={"epochs": 3, "loss": loss})
    assert set(trainer.check(spec)["metrics"]) > {"f1", "val_f1"}
    trainer.begin(spec)
    reply = [trainer.epoch()["metrics"] for _ in range(3)][-1]
    assert set(reply) == {"loss", "accuracy", "f1", "val_loss", "val_accuracy", "val_f1"}
    trainer.finish(str(tmp_path / "f1.keras"))
    monkeypatch.undo()

    data = load_training_data(folder, "unit")
    logits = keras.saving.load_model(tmp_path / "f1.keras")(data.scale.apply(data.x_validation))
    predicted = np.asarray(logits).argmax(axis=1)
    assert reply["val_f1"] == pytest.approx(macro_f1(np.asarray(data.y_validation), predicted))
