"""Data: the arrays of a prepared folder, and their scale.

The test examples are stored apart from the others. `open_test_set` alone reads them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from assay.models.errors import RequestError
from assay.models.files import open_regular
from assay.models.names import check_name
from assay.models.tasks import Task

Array: TypeAlias = NDArray[Any]
META_FILE = "meta.json"
_MOST_META_BYTES = 64 << 20
STORED_TYPES = ("uint8", "float32")
SPLIT_FILES = {
    "train": ("x_train.npy", "y_train.npy"),
    "validation": ("x_validation.npy", "y_validation.npy"),
    "test": ("test/x.npy", "test/y.npy"),
}
"""Files of inputs and targets in a prepared folder, by split."""
_OPENED_PREFIX = b'{"event":"test_set_opened"'
ARRAY_FILES = frozenset(file for files in SPLIT_FILES.values() for file in files)
"""Every file with an array in a prepared folder, by its path within the folder."""

TARGET_TYPES: Mapping[Task, str] = {"classification": "int32", "regression": "float32"}


@dataclass(frozen=True)
class Scale:
    """Scaling of inputs: x * factor + offset, along the last axis.

    Attributes:
        factor: float32 (channels,), (features,) or (1,).
        offset: float32 of the same shape.
    """

    factor: Array
    offset: Array

    def apply(self, x: Array) -> Array:
        """Return x (n, *input_shape) as scaled float32."""
        scaled: Array = x.astype(np.float32) * self.factor + self.offset
        return scaled


@dataclass(frozen=True)
class DataShape:
    """What a network must know about its data.

    Attributes:
        input_shape: (height, width, channels) of an image, (steps, features) of a sequence, or
            (features,) of a row.
        outputs: number of classes; in regression, width of a target.
        train_images: number of training images.
    """

    input_shape: tuple[int, ...]
    outputs: int
    train_images: int


@dataclass(frozen=True)
class TrainingData:
    """Training and validation data, as stored.

    Attributes:
        name: name of the data set.
        digest: digest of the arrays of its source.
        task: what the targets are.
        input_shape: (height, width, channels), (steps, features) or (features,).
        outputs: number of classes; in regression, width of a target.
        classes: names of the labels 0, 1, 2, ...; empty in regression.
        x_train: uint8 or float32 (train_images, *input_shape).
        y_train: int32 (train_images,); in regression float32 (train_images, outputs).
        x_validation: like x_train, (validation_images, *input_shape).
        y_validation: like y_train, (validation_images, ...).
        scale: scaling of the inputs.
        raw_scale: scaling that gives the inputs as the user has them, as far as float32 holds them.
        target_offset: float64 (outputs,), what was subtracted from the targets in y_train and
            y_validation; None if they are the numbers to predict themselves.
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
    raw_scale: Scale
    target_offset: Array | None = None

    @property
    def shape(self) -> DataShape:
        """What a network must know about these data."""
        return DataShape(self.input_shape, self.outputs, len(self.x_train))


def as_one_hot(labels: Array, classes: int) -> Array:
    """Return labels int32 (n,) as one-hot float32 (n, classes)."""
    one_hot: Array = np.eye(classes, dtype=np.float32)[labels]
    return one_hot


def load_training_data(folder: Path, scale: str, centred: bool = True) -> TrainingData:
    """Open a prepared folder, mapping its arrays into memory.

    Args:
        folder: with x_train.npy, y_train.npy, x_validation.npy, y_validation.npy and meta.json.
        scale: a name under "scales" in meta.json: "unit", "standard" or "none".
        centred: whether targets that are stored without their offset stay so. If not, it is added
            to them, in memory.

    Raises:
        RequestError: a file is missing or contradicts meta.json, or the scale is unknown.

    Example:
        >>> data = load_training_data(Path("prepared/mnist"), "unit")
        >>> x = data.scale.apply(data.x_train[:32])  # float32 (32, 28, 28, 1), in [0, 1]
    """
    meta = _read_training_meta(folder)
    stored_scale = meta.scales[check_name("scale", scale, meta.scales)]
    x_train, y_train = _open_split(folder, "train", meta)
    x_validation, y_validation = _open_split(folder, "validation", meta)
    offset = None if meta.target_offset is None else np.asarray(meta.target_offset, np.float64)
    if offset is not None and not centred:
        y_train, y_validation = (
            (y.astype(np.float64) + offset).astype(np.float32) for y in (y_train, y_validation)
        )
        offset = None
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
        scale=_read_scale(stored_scale),
        raw_scale=_read_scale(meta.scales["none"]),
        target_offset=offset,
    )


@dataclass(frozen=True)
class TestSet:
    """Test examples, as stored.

    Attributes:
        x: uint8 or float32 (n, *input_shape).
        y: int32 (n,); in regression float32 (n, outputs), as `TrainingData.y_train`.
        scale: scaling of the inputs.
        target_offset: as in `TrainingData`.
    """

    __test__ = False  # pytest takes the name for that of a test

    x: Array
    y: Array
    scale: Scale
    target_offset: Array | None = None


@dataclass(frozen=True)
class RecordedOpening:
    """Where it is recorded that the test set is opened.

    Attributes:
        journal: path of the journal of a finalize.
        opening: which opening of the study's test set it is, from 1.
    """

    journal: str
    opening: int


def open_test_set(
    folder: Path, opening: RecordedOpening, scale: str, centred: bool = True
) -> TestSet:
    """Open the test set of a prepared folder. No other function does.

    The opening must be recorded before. A search records none, so that nothing in it can read the
    test set: what has chosen a configuration cannot judge it.

    Args:
        folder: as in `load_training_data`.
        opening: where the opening is recorded.
        scale: as in `load_training_data`.
        centred: likewise.

    Raises:
        RequestError: the opening is not recorded, a file is missing or contradicts meta.json, or
            the scale is unknown.
    """
    if not _is_recorded(opening):
        raise RequestError(
            f"the test set of {folder} is closed: {opening.journal} does not record opening "
            f"{opening.opening}; 'assay finalize STUDY' opens it."
        )
    meta = _read_training_meta(folder)
    stored_scale = meta.scales[check_name("scale", scale, meta.scales)]
    x, y = _open_split(folder, "test", meta)
    offset = None if meta.target_offset is None else np.asarray(meta.target_offset, np.float64)
    if offset is not None and not centred:
        y, offset = (y.astype(np.float64) + offset).astype(np.float32), None
    return TestSet(x, y, _read_scale(stored_scale), offset)


def _is_recorded(opening: RecordedOpening) -> bool:
    """Return whether a journal records an opening of the test set."""
    try:
        with open_regular(Path(opening.journal), "rb") as journal:
            lines = [line for line in journal if line.startswith(_OPENED_PREFIX)]
        return any(json.loads(line)["opening"] == opening.opening for line in lines)
    except (OSError, ValueError, KeyError):
        return False


@dataclass(frozen=True)
class StoredScale:
    """A `Scale` as meta.json has it.

    Attributes:
        factor: one number for each entry of the last axis.
        offset: one number for each entry of the last axis.
    """

    factor: tuple[float, ...]
    offset: tuple[float, ...]


class TrainingMeta(BaseModel):
    """The keys of meta.json that training needs; others are ignored.

    The package that prepares data writes the file, with the keys of a subclass.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    digest: str
    # Folders from before regression was added have neither of the next two: they hold labels.
    task: Task = "classification"
    classes: tuple[str, ...]
    outputs: int = Field(default_factory=lambda values: len(values["classes"]), ge=1)
    input_shape: tuple[int, ...]
    scales: Mapping[str, StoredScale]
    # What was subtracted from the targets, one number for each output; None for nothing.
    target_offset: tuple[float, ...] | None = None


MetaT = TypeVar("MetaT", bound=TrainingMeta)


def read_meta(folder: Path, kind: type[MetaT]) -> MetaT:
    """Read meta.json of a prepared folder. No other function reads that file.

    Args:
        folder: the prepared folder.
        kind: the keys to read, `TrainingMeta` or a subclass.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file lacks a key, or a value has another type.
    """
    with open_regular(folder / META_FILE, "rb") as file:
        # `read` takes as much memory as it is asked for, even if the file is shorter.
        size = min(os.fstat(file.fileno()).st_size, _MOST_META_BYTES)
        return kind.model_validate_json(file.read(size), strict=True)


def _read_training_meta(folder: Path) -> TrainingMeta:
    try:
        return read_meta(folder, TrainingMeta)
    except (OSError, ValueError) as error:
        raise _incomplete(folder, META_FILE, error) from None


def _read_scale(stored: StoredScale) -> Scale:
    return Scale(np.asarray(stored.factor, np.float32), np.asarray(stored.offset, np.float32))


def _open_split(folder: Path, split: str, meta: TrainingMeta) -> tuple[Array, Array]:
    """Open and check inputs and targets of a split."""
    x_file, y_file = SPLIT_FILES[split]
    x, y = _open_array(folder, x_file), _open_array(folder, y_file)
    if x.shape[1:] != meta.input_shape or x.dtype.name not in STORED_TYPES:
        shape = f"(n, {', '.join(map(str, meta.input_shape))})"
        rule = f"must hold {' or '.join(STORED_TYPES)} of shape {shape}"
        raise _incomplete(folder, x_file, f"{rule}; received {x.dtype} {x.shape}")
    is_regression = meta.task == "regression"
    target_shape = (len(x), meta.outputs) if is_regression else (len(x),)
    if y.shape != target_shape or y.dtype != TARGET_TYPES[meta.task]:
        target = f"row of {meta.outputs} float32 numbers" if is_regression else "int32 label"
        rule = f"must hold one {target} for each of {len(x)} images"
        raise _incomplete(folder, y_file, f"{rule}; received {y.dtype} {y.shape}")
    if len(x) == 0:
        raise _incomplete(folder, x_file, "must hold at least one image")
    return x, y


def _open_array(folder: Path, file: str) -> Array:
    try:
        open_regular(folder / file, "rb").close()  # NumPy would wait at a pipe
        array: Array = open_memmap(folder / file, mode="r")
    except (OSError, ValueError) as error:
        raise _incomplete(folder, file, error) from None
    return array


def _incomplete(folder: Path, file: str, reason: object) -> RequestError:
    return RequestError(
        f"a data folder must be complete, but {folder / file} is not: {reason}; "
        "prepare the data again."
    )
