"""What a training reads: the training and validation images of a prepared folder, memory-mapped, and their scale.

The folder's test images lie apart; nothing here reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import RequestError
from models.names import check_name

Array: TypeAlias = NDArray[Any]
STORED_TYPES = ("uint8", "float32")


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
        classes: how many labels there are: 0, 1, 2, ...
        train_images: how many an epoch sees.
    """

    input_shape: tuple[int, ...]
    classes: int
    train_images: int


@dataclass(frozen=True)
class TrainingData:
    """Everything a training reads.

    Attributes:
        name: of the data set.
        digest: of its source's arrays.
        input_shape: (height, width, channels) or (features,).
        classes: names of the labels 0, 1, 2, ...
        x_train: as stored and not yet scaled, uint8 or float32, (train_images, *input_shape).
        y_train: int32 (train_images,).
        x_validation: like x_train, (validation_images, *input_shape).
        y_validation: int32 (validation_images,).
        scale: what the network's inputs are multiplied by and moved by.
    """

    name: str
    digest: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    scale: Scale

    @property
    def shape(self) -> DataShape:
        """What a network must know of these data."""
        return DataShape(self.input_shape, len(self.classes), len(self.x_train))


class _StoredScale(BaseModel):
    factor: list[float]
    offset: list[float]


class _Meta(BaseModel):
    """What a training needs of meta.json; the rest is for others."""

    model_config = ConfigDict(extra="ignore")

    name: str
    digest: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
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
    x_train, y_train = _open_pair(folder, "train", meta.input_shape)
    x_validation, y_validation = _open_pair(folder, "validation", meta.input_shape)
    return TrainingData(
        name=meta.name,
        digest=meta.digest,
        input_shape=meta.input_shape,
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


def _open_pair(folder: Path, split: str, input_shape: tuple[int, ...]) -> tuple[Array, Array]:
    x, y = _open(folder, f"x_{split}.npy"), _open(folder, f"y_{split}.npy")
    if x.shape[1:] != input_shape or x.dtype.name not in STORED_TYPES:
        rule = f"must hold {' or '.join(STORED_TYPES)} of shape (n, {', '.join(map(str, input_shape))})"
        raise _not_whole(folder, f"x_{split}.npy", f"{rule}; received {x.dtype} of shape {x.shape}")
    if y.shape != (len(x),) or y.dtype != np.int32 or len(x) == 0:
        rule = f"must hold one int32 label for each of {len(x)} images, and at least one"
        raise _not_whole(folder, f"y_{split}.npy", f"{rule}; received {y.dtype} of shape {y.shape}")
    return x, y


def _open(folder: Path, file: str) -> Array:
    try:
        array: Array = np.load(folder / file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _not_whole(folder, file, error) from None
    return array


def _not_whole(folder: Path, file: str, reason: object) -> RequestError:
    return RequestError(f"a data folder must be whole, but {folder / file} is not: {reason}; have it prepared again.")
