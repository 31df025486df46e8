"""A small prepared data folder and specs of trials on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.models.data import Array
from tests.helpers import nets

SHAPE = (8, 8, 1)
CLASSES = ("left", "middle", "right")


def make_images(count: int, seed: int) -> tuple[Array, Array]:
    """Return noise with a bright third: uint8 (count, 8, 8, 1) and int32 (count,)."""
    random = np.random.default_rng(seed)
    y = random.integers(0, len(CLASSES), count).astype(np.int32)
    x = random.integers(0, 120, (count, *SHAPE)).astype(np.uint8)
    for image, label in zip(x, y, strict=True):
        image[:, 3 * label : 3 * label + 2] += 100
    return x, y


def write_folder(folder: Path, **meta: Any) -> Path:
    """Write 150 training and 40 validation images like assay.experiments.data."""
    folder.mkdir(exist_ok=True)
    for split, count, seed in (("train", 150, 1), ("validation", 40, 2)):
        x, y = make_images(count, seed)
        np.save(folder / f"x_{split}.npy", x)
        np.save(folder / f"y_{split}.npy", y)
    scales = {
        "unit": {"factor": [1 / 255], "offset": [0.0]},
        "standard": {"factor": [0.02], "offset": [-1.5]},
        "none": {"factor": [1.0], "offset": [0.0]},
    }
    known = {
        "name": "thirds",
        "digest": "0" * 64,
        "input_shape": SHAPE,
        "classes": CLASSES,
        "scales": scales,
    }
    known |= {"task": "classification", "outputs": len(CLASSES)}
    (folder / "meta.json").write_text(
        json.dumps({**known, "train_images": 150, "validation_images": 40, **meta})
    )
    return folder


def write_rows(folder: Path, outputs: int = 2) -> Path:
    """Write 120 training and 30 validation rows of 5 numbers with targets."""
    random = np.random.default_rng(0)
    slopes = random.normal(size=(5, 2))[:, :outputs]
    write_folder(
        folder, name="slopes", task="regression", outputs=outputs, input_shape=[5], classes=[]
    )
    for split, count in (("train", 120), ("validation", 30)):
        x = random.normal(size=(count, 5)).astype(np.float32)
        np.save(folder / f"x_{split}.npy", x)
        np.save(folder / f"y_{split}.npy", (x @ slopes + 1).astype(np.float32))
    return folder


def assign(folder: Path, family: str = "mlp", seed: int = 3, **tables: Any) -> dict[str, Any]:
    """Return a trial spec as a worker receives it."""
    return {
        "folders": [str(item) for item in tables.get("folders", ())],
        "seed": seed,
        "task": tables.get("task", "classification"),
        "family": family,
        "model": tables.get("model", {}),
        "train": {"epochs": 2, "batch_size": 32, **tables.get("train", {})},
        "data": {"folder": str(folder), "scale": tables.get("scale", "unit")},
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("prepared") / "thirds")


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("prepared") / "slopes")


@pytest.fixture(scope="session")
def own_nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nets.py, which contains user-defined factories."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets.py").write_text(nets.SOURCE)
    return folder
