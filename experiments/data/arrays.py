"""The four arrays of a data set as their source returns them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.models.errors import RequestError
from assay.models.tasks import Task

Array = np.ndarray[Any, np.dtype[Any]]

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
"""The names of `keras.datasets`, in the order in which the arrays are hashed."""

_REGRESSION_HINT = "If they are numbers to predict, say task = 'regression'."


@dataclass(frozen=True)
class SourceArrays:
    """The arrays of a data set before they are checked, split or scaled.

    Attributes:
        x_train: (n, features), (n, height, width) or (n, height, width, channels).
        y_train: (n,) integers or texts; for regression (n,) or (n, outputs) numbers.
        x_test: (m, ...), like x_train.
        y_test: (m, ...), like y_train.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array

    def items(self) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays, in the order of `ARRAY_NAMES`."""
        return ((name, getattr(self, name)) for name in ARRAY_NAMES)


def check_arrays(arrays: SourceArrays, name: str, task: Task) -> None:
    """Check types, shapes and values of a source's arrays.

    Args:
        arrays: the arrays as they were loaded.
        name: the data set's name, for the message.
        task: decides what y must be.

    Raises:
        RequestError: a rule is broken; the message is about the first one.
    """
    check_targets = _check_labels if task == "classification" else _check_regression_targets
    for part in ("train", "test"):
        x, y = getattr(arrays, f"x_{part}"), getattr(arrays, f"y_{part}")
        _check_inputs(x, f"{name}: x_{part}")
        check_targets(y, f"{name}: y_{part}")
        if len(x) != len(y):
            raise RequestError(
                f"{name}: x_{part} and y_{part} must be equally long; "
                f"received {len(x)} and {len(y)}."
            )
    for letter in ("x", "y"):
        train, test = (getattr(arrays, f"{letter}_{part}").shape for part in ("train", "test"))
        if train[1:] != test[1:]:
            raise RequestError(
                f"{name}: {letter}_train and {letter}_test must agree in all but their length; "
                f"received {train} and {test}."
            )
    # Only the kind is compared: NumPy's types of texts differ by the length of the longest.
    if (arrays.y_train.dtype.kind == "U") != (arrays.y_test.dtype.kind == "U"):
        raise RequestError(
            f"{name}: y_train and y_test must be of one kind; "
            f"received {arrays.y_train.dtype} and {arrays.y_test.dtype}."
        )


def _check_inputs(x: Array, name: str) -> None:
    # The kinds are bool, integer, unsigned integer and float.
    if x.dtype.kind not in "biuf":
        raise RequestError(f"{name} must hold real numbers; received {x.dtype}.")
    if x.ndim not in (2, 3, 4):
        raise RequestError(
            f"{name} must be (n, features), (n, height, width) or (n, height, width, channels); "
            f"received {x.shape}."
        )
    if x.size == 0:
        raise RequestError(f"{name} must not be empty; received {x.shape}.")
    _check_fits_float32(x, name)


def _check_labels(y: Array, name: str) -> None:
    if y.ndim != 1:
        raise RequestError(
            f"{name} must be (n,), one label per image, not one-hot; received {y.shape}. "
            f"{_REGRESSION_HINT}"
        )
    if y.dtype.kind not in "iuU":
        raise RequestError(
            f"{name} must hold integers, or texts without pickle; received {y.dtype}. "
            f"{_REGRESSION_HINT}"
        )


def _check_regression_targets(y: Array, name: str) -> None:
    if y.dtype.kind not in "iuf":
        raise RequestError(
            f"{name} must hold numbers to predict, integers or floats; received {y.dtype}. "
            "If they are classes, say task = 'classification'."
        )
    if y.ndim not in (1, 2) or y.size == 0:
        raise RequestError(
            f"{name} must be (n,) or (n, outputs) and not empty; received {y.shape}."
        )
    _check_fits_float32(y, name)


def _check_fits_float32(array: Array, name: str) -> None:
    if array.dtype.kind != "f":
        return
    # The extremes are enough, and need no temporary array of this size: NaN makes both of them NaN.
    largest = float(np.finfo(np.float32).max)
    if not (float(array.min()) >= -largest and float(array.max()) <= largest):
        raise RequestError(
            f"{name} must hold finite numbers that float32 can hold; "
            "received NaN, infinity or a larger number."
        )
