"""Preparing arrays of the user's own in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assay.experiments.data import DataSettings, PreparedData
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import read_prepared_meta
from assay.models.data import TrainingData, load_training_data
from assay.models.tasks import Task

Array = np.ndarray[Any, Any]


def prepare_arrays(
    arrays: Mapping[str, Array], folder: Path, task: Task = "classification", **keys: Any
) -> PreparedData:
    """Write arrays to own.npz and prepare them, as `prepare` does in another process."""
    np.savez(folder / "own.npz", **arrays)
    settings = DataSettings.read({"name": "npz:own.npz", **keys}, "[data]")
    return prepare_here(settings, folder, task)


def prepare_here(
    settings: DataSettings, folder: Path, task: Task = "classification"
) -> PreparedData:
    """Prepare a data set whose path starts from `folder`; home is `folder / "home"`."""
    prepared = ensure_prepared(settings, folder / "home", folder, folder, task)
    meta = read_prepared_meta(prepared)
    assert meta is not None
    known = {name: getattr(meta, name) for name in type(meta).model_fields}
    return PreparedData(**known, folder=prepared, warnings=(), unused=())


def scaled_inputs(data: PreparedData, scale: str = "unit") -> dict[str, Array]:
    """Return the inputs that a network sees, by "train" and "validation", and their targets."""
    loaded: TrainingData = load_training_data(data.folder, scale)
    return {
        "train": loaded.scale.apply(loaded.x_train),
        "validation": loaded.scale.apply(loaded.x_validation),
        "y_train": loaded.y_train,
        "y_validation": loaded.y_validation,
    }


def with_test(x: Array, y: Array) -> dict[str, Array]:
    """Return arrays whose last sixth is the test set."""
    cut = len(x) * 5 // 6
    return {"x_train": x[:cut], "y_train": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}
