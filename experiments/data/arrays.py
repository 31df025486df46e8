"""The four arrays of a data set as their source gives them, and the rules they must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.models.errors import RequestError
from assay.models.tasks import Task

Array = np.ndarray[Any, np.dtype[Any]]

_HINT_AT_REGRESSION = "If they are numbers to predict, say task = 'regression'."

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
"""As `keras.datasets` has them, in the order in which they are hashed."""


@dataclass(frozen=True)
class SourceArrays:
    """A data set before anything was done to it.

    Attributes:
        x_train: (n, features), (n, height, width) or (n, height, width, channels).
        y_train: (n,) integers or texts; for regression (n,) or (n, outputs) numbers.
        x_test: (m, ...) like x_train.
        y_test: (m,) like y_train.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array

    def items(self) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays, in the order of `ARRAY_NAMES`."""
        return ((name, getattr(self, name)) for name in ARRAY_NAMES)


def check_arrays(arrays: SourceArrays, name: str, task: Task) -> None:
    """Check what can be checked before anything is split.

    Args:
        arrays: as they were read.
        name: of the data set, for the message.
        task: which decides what y must be.

    Raises:
        RequestError: the first rule that is broken.
    """
    for part in ("train", "test"):
        x, y = getattr(arrays, f"x_{part}"), getattr(arrays, f"y_{part}")
        _check_numbers(x, f"{name}: x_{part}")
        check_y = _check_labels if task == "classification" else _check_numbers_to_predict
        check_y(y, f"{name}: y_{part}")
        if len(x) != len(y):
            raise RequestError(
                f"{name}: x_{part} and y_{part} must be equally long; received {len(x)} and {len(y)}."
            )
    for letter in ("x", "y"):
        train, test = (getattr(arrays, f"{letter}_{part}").shape for part in ("train", "test"))
        if train[1:] != test[1:]:
            raise RequestError(
                f"{name}: {letter}_train and {letter}_test must agree in all but their length; "
                f"received {train} and {test}."
            )
    if (arrays.y_train.dtype.kind == "U") != (arrays.y_test.dtype.kind == "U"):
        raise RequestError(
            f"{name}: y_train and y_test must be of one kind; "
            f"received {arrays.y_train.dtype} and {arrays.y_test.dtype}."
        )


def _check_numbers(x: Array, name: str) -> None:
    if x.dtype.kind not in "biuf":
        raise RequestError(f"{name} must hold real numbers; received {x.dtype}.")
    if x.ndim not in (2, 3, 4):
        raise RequestError(
            f"{name} must be (n, features), (n, height, width) or (n, height, width, channels); received {x.shape}."
        )
    if x.size == 0:
        raise RequestError(f"{name} must not be empty; received {x.shape}.")
    if x.dtype.kind == "f" and not _fits_float32(x):
        raise RequestError(
            f"{name} must hold finite numbers that float32 can hold: it has NaN, infinity or larger."
        )


def _fits_float32(x: Array) -> bool:
    # The extremes tell: NaN makes both NaN, and no array as large as x is made on the way.
    largest = float(np.finfo(np.float32).max)
    return bool(float(x.min()) >= -largest and float(x.max()) <= largest)


def _check_labels(y: Array, name: str) -> None:
    if y.ndim != 1:
        raise RequestError(
            f"{name} must be (n,), one label an image, not one-hot; received {y.shape}. {_HINT_AT_REGRESSION}"
        )
    if y.dtype.kind not in "iuU":
        raise RequestError(
            f"{name} must hold integers, or texts without pickle; received {y.dtype}. {_HINT_AT_REGRESSION}"
        )


def _check_numbers_to_predict(y: Array, name: str) -> None:
    if y.dtype.kind not in "iuf":
        raise RequestError(
            f"{name} must hold numbers to predict, integers or floats; received {y.dtype}. "
            "If they are classes, say task = 'classification'."
        )
    if y.ndim not in (1, 2) or y.size == 0:
        raise RequestError(
            f"{name} must be (n,) or (n, outputs) and not empty; received {y.shape}."
        )
    if y.dtype.kind == "f" and not _fits_float32(y):
        raise RequestError(
            f"{name} must hold finite numbers that float32 can hold: it has NaN, infinity or larger."
        )
