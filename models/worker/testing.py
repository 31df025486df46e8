"""Measuring a trained network on the test set, and its predictions in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay.models.data import Array, TestSet
from assay.models.errors import RequestError
from assay.models.files import open_regular, replace_file
from assay.models.recipe import Recipe, test
from assay.models.training.epoch import VALIDATION_BATCH, Metrics

if TYPE_CHECKING:
    import keras


def measure_on_test_set(
    model: keras.Model, test_set: TestSet, recipe: Recipe, save_as: Path
) -> Metrics:
    """Measure a trained network, and save what it predicts for each test example.

    Args:
        model: compiled and trained.
        test_set: the test set.
        recipe: of the network.
        save_as: file for the predictions; `read_predictions` reads it.

    Returns:
        test_loss, and test_accuracy or test_mae, and the model's own metrics with "test_" before
        their names.

    Raises:
        RequestError: the network has no finite output for a test example.
        OSError: the file cannot be written.
    """
    measured = test(model, test_set.scale.apply(test_set.x), test_set.y, recipe.one_hot)
    metrics = {f"test_{name}": value for name, value in measured.items()}
    predictions, targets = _predict(model, test_set)
    if recipe.task == "classification":
        metrics["test_accuracy"] = float(np.mean(predictions == targets))
    else:
        metrics["test_mae"] = float(np.mean(np.abs(predictions - targets)))
    with replace_file(save_as) as file:
        np.savez_compressed(file, predictions=predictions, targets=targets)
    return metrics


def read_predictions(path: Path) -> tuple[Array, Array]:
    """Return predictions and targets of the test examples.

    Returns:
        Labels, int32 (n,), of both; in regression float64 (n, outputs), in the unit of the data.

    Raises:
        ValueError: the file is damaged.
        OSError: the file cannot be read.
    """
    with open_regular(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        predictions, targets = arrays["predictions"], arrays["targets"]
    if predictions.shape != targets.shape:
        raise ValueError(
            f"{path} must have a prediction for each target: received {predictions.shape} and "
            f"{targets.shape}"
        )
    return predictions, targets


def _predict(model: keras.Model, test_set: TestSet) -> tuple[Array, Array]:
    """Return predictions and targets, as `read_predictions` returns them.

    Raises:
        RequestError: an output is not finite.
    """
    outputs = np.concatenate(list(_outputs(model, test_set)))
    # NaN would be the class 0: `argmax` takes it for the largest.
    finite = np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)
    if not finite.all():
        raise RequestError(
            "a network must have finite outputs for all test examples: it has NaN or infinite ones "
            f"for {np.count_nonzero(~finite):,} of {len(finite):,}."
        )
    if test_set.y.ndim == 1:
        return outputs.argmax(axis=-1).astype(np.int32), np.asarray(test_set.y)
    offset = 0.0 if test_set.target_offset is None else test_set.target_offset
    predictions = outputs.reshape(test_set.y.shape).astype(np.float64)
    return predictions + offset, test_set.y.astype(np.float64) + offset


def _outputs(model: keras.Model, test_set: TestSet) -> Iterator[Array]:
    for start in range(0, len(test_set.x), VALIDATION_BATCH):
        x = test_set.scale.apply(test_set.x[start : start + VALIDATION_BATCH])
        yield np.asarray(model.predict_on_batch(x))
