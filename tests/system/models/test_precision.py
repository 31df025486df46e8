"""Precisions: what they change in a trial, and what they keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from assay.models.architectures.registry import FAMILIES
from assay.models.data import load_training_data
from assay.models.precision import PRECISIONS, use_precision
from assay.models.recipe import test as measure
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign


@pytest.fixture(autouse=True)
def float32_again() -> Iterator[None]:
    yield
    use_precision("float32")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_float32_in_any_precision(family: str, precision: str) -> None:
    use_precision(precision)
    model = FAMILIES[family].describe(FAMILIES[family].settings(), (8, 8, 1), 3)
    assert model.output.dtype == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    if family != "linear":
        assert precision.removeprefix("mixed_") in {
            layer.compute_dtype for layer in model.layers[1:-1]
        }


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_trial_trains_in_its_precision(
    precision: str, threads: int, folder: Path, tmp_path: Path
) -> None:
    trainer = Trainer(threads, precision=precision)
    for trial in range(2):  # Keras resets its policy between trials
        file = tmp_path / f"{trial}.keras"
        train = {"epochs": 3, "learning_rate": 0.05, "schedule": "cosine", "early_stopping": 2}
        trainer.begin(assign(folder, model={"hidden_units": 8}, train=train))
        replies = [trainer.epoch() for _ in range(3)]
        trainer.finish(str(file))
        kept = keras.saving.load_model(file)
        assert precision in {layer.dtype_policy.name for layer in kept.layers}
        data = load_training_data(folder, "unit")
        tested = measure(kept, data.scale.apply(data.x_validation), data.y_validation)
        assert tested["loss"] == pytest.approx(
            replies[-1]["restored"]["metrics"]["val_loss"], rel=1e-4
        )
        assert np.asarray(kept(data.scale.apply(data.x_validation))).dtype == np.float32
    assert replies[-1]["metrics"]["loss"] < replies[0]["metrics"]["loss"]
    Trainer(threads).begin(assign(folder))
    assert keras.config.dtype_policy().name == "float32"
