"""What a training reads: the training and validation images of a prepared folder, memory-mapped,
and their scale.

The folder's test images lie apart; nothing here reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.tasks import Task

Array: TypeAlias = NDArray[Any]
STORED_TYPES = ("uint8", "float32")
TARGET_TYPES: Mapping[Task, str] = {"classification": "int32", "regression": "float32"}


@dataclass(frozen=True)
class Scale:
    """scaled = x.astype(float32) * factor + offset, along the last axis.

    Attributes:
        factor: float32 (channels,), (features,) or (1,).
        offset: likewise.
    """

    factor: Array
    offset: Array

    def apply(self, x: Array) -> Array:
        """Return x (n, *input_shape) scaled, as float32 of the same shape."""
        scaled: Array = x.astype(np.float32) * self.factor + self.offset
        return scaled


@dataclass(frozen=True)
class DataShape:
    """What a network must know of its data.

    Attributes:
        input_shape: of one image, (height, width, channels), or of one row, (features,).
        outputs: how many numbers it gives: a logit a class, or in regression the width of a target.
        train_images: how many an epoch sees.
    """

    input_shape: tuple[int, ...]
    outputs: int
    train_images: int


@dataclass(frozen=True)
class TrainingData:
    """Everything a training reads.

    Attributes:
        name: of the data set.
        digest: of its source's arrays.
        task: what its targets are.
        input_shape: (height, width, channels) or (features,).
        outputs: how many classes, or in regression the width of a target.
        classes: names of the labels 0, 1, 2, ...; none in regression.
        x_train: as stored and not yet scaled, uint8 or float32, (train_images, *input_shape).
        y_train: int32 (train_images,), or in regression float32 (train_images, outputs).
        x_validation: like x_train, (validation_images, *input_shape).
        y_validation: like y_train, (validation_images, ...).
        scale: what the network's inputs are multiplied by and moved by.
    """

    name: str
    digest: str
    task: Task
    input_shape: tuple[int, ...]
    outputs: int
    classes: tuple[str, ...]
    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    scale: Scale

    @property
    def shape(self) -> DataShape:
        """What a network must know of these data."""
        return DataShape(self.input_shape, self.outputs, len(self.x_train))


def as_one_hot(labels: Array, classes: int) -> Array:
    """Return labels, int32 (n,), as float32 (n, classes): 1 at the label, 0 elsewhere."""
    hot: Array = np.eye(classes, dtype=np.float32)[labels]
    return hot


class _StoredScale(BaseModel):
    factor: list[float]
    offset: list[float]


class _Meta(BaseModel):
    """What a training needs of meta.json; the rest is for others."""

    model_config = ConfigDict(extra="ignore")

    name: str
    digest: str
    # A folder that says neither is older than regression: its labels are its classes'.
    task: Task = "classification"
    classes: tuple[str, ...]
    outputs: int = Field(default_factory=lambda known: len(known["classes"]), ge=1)
    input_shape: tuple[int, ...]
    scales: dict[str, _StoredScale]


def load(folder: Path, scale: str) -> TrainingData:
    """Open a prepared folder; nothing is copied into memory.

    Args:
        folder: with x_train.npy, y_train.npy, x_validation.npy, y_validation.npy and meta.json.
        scale: one of the names under "scales" in meta.json: "unit", "standard" or "none".

    Raises:
        RequestError: a file is missing or is not what meta.json says, or the scale is unknown.
    """
    meta = _read_meta(folder)
    stored = meta.scales[check_name("scale", scale, meta.scales)]
    x_train, y_train = _open_pair(folder, "train", meta)
    x_validation, y_validation = _open_pair(folder, "validation", meta)
    return TrainingData(
        name=meta.name,
        digest=meta.digest,
        task=meta.task,
        input_shape=meta.input_shape,
        outputs=meta.outputs,
        classes=meta.classes,
        x_train=x_train,
        y_train=y_train,
        x_validation=x_validation,
        y_validation=y_validation,
        scale=Scale(np.asarray(stored.factor, np.float32), np.asarray(stored.offset, np.float32)),
    )


def _read_meta(folder: Path) -> _Meta:
    try:
        return _Meta.model_validate_json((folder / "meta.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise _not_whole(folder, "meta.json", error) from None


def _open_pair(folder: Path, split: str, meta: _Meta) -> tuple[Array, Array]:
    x, y = _open(folder, f"x_{split}.npy"), _open(folder, f"y_{split}.npy")
    if x.shape[1:] != meta.input_shape or x.dtype.name not in STORED_TYPES:
        rule = f"must hold {' or '.join(STORED_TYPES)} of shape (n, {', '.join(map(str, meta.input_shape))})"
        raise _not_whole(folder, f"x_{split}.npy", f"{rule}; received {x.dtype} of shape {x.shape}")
    numbers = meta.task == "regression"
    if (
        y.shape != ((len(x), meta.outputs) if numbers else (len(x),))
        or y.dtype != TARGET_TYPES[meta.task]
    ):
        what = f"row of {meta.outputs} float32 numbers" if numbers else "int32 label"
        rule = f"must hold one {what} for each of {len(x)} images"
        raise _not_whole(folder, f"y_{split}.npy", f"{rule}; received {y.dtype} of shape {y.shape}")
    if len(x) == 0:
        raise _not_whole(folder, f"x_{split}.npy", "must hold at least one image")
    return x, y


def _open(folder: Path, file: str) -> Array:
    try:
        array: Array = np.load(folder / file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _not_whole(folder, file, error) from None
    return array


def _not_whole(folder: Path, file: str, reason: object) -> RequestError:
    return RequestError(
        f"a data folder must be whole, but {folder / file} is not: {reason}; have it prepared again."
    )
