"""The arrays of a data set as their source returns them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.models.errors import RequestError
from assay.models.tasks import Task

Array = np.ndarray[Any, np.dtype[Any]]

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
"""The names of `keras.datasets`, in the order in which the arrays are hashed."""

VALIDATION_NAMES = ("x_validation", "y_validation")
"""Hashed after the others, if the data have a validation set of their own."""

REGRESSION_HINT = "If they are numbers to predict, say task = 'regression'."

_MOST_WHOLE_CLASSES = 100
"""Most distinct whole floats that are taken for class numbers."""


@dataclass(frozen=True)
class SourceArrays:
    """The arrays of a data set before they are checked, split or scaled.

    Attributes:
        x_train: (n, features), (n, height, width) or (n, height, width, channels).
        y_train: (n,) integers or texts; for regression (n,) or (n, outputs) numbers.
        x_test: (m, ...), like x_train.
        y_test: (m, ...), like y_train.
        x_validation: (k, ...), like x_train; None if validation examples are to be split off.
        y_validation: (k, ...), like y_train; None with x_validation.
        validation_part: how the source names them after x_ and y_, such as "val"; for messages.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    x_validation: Array | None = None
    y_validation: Array | None = None
    validation_part: str = "validation"

    def items(self) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays: `ARRAY_NAMES`, then `VALIDATION_NAMES` if there are any.

        A data set without validation arrays keeps the digest that it always had.
        """
        for name in (*ARRAY_NAMES, *VALIDATION_NAMES):
            if (array := getattr(self, name)) is not None:
                yield name, array

    def parts(self) -> Iterator[tuple[str, Array, Array]]:
        """Iterate over the name, x and y of each part; the training set comes first."""
        yield "train", self.x_train, self.y_train
        if self.x_validation is not None and self.y_validation is not None:
            yield self.validation_part, self.x_validation, self.y_validation
        yield "test", self.x_test, self.y_test


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
    for part, x, y in arrays.parts():
        _check_inputs(x, f"{name}: x_{part}")
        check_targets(y, f"{name}: y_{part}")
        if len(x) != len(y):
            raise RequestError(
                f"{name}: x_{part} and y_{part} must be equally long; "
                f"received {len(x)} and {len(y)}."
            )
    for part, x, y in arrays.parts():
        for letter, train, other in (("x", arrays.x_train, x), ("y", arrays.y_train, y)):
            if train.shape[1:] != other.shape[1:]:
                raise RequestError(
                    f"{name}: {letter}_train and {letter}_{part} must agree in all but their "
                    f"length; received {train.shape} and {other.shape}."
                )
        # Only the kind is compared: NumPy's types of texts differ by the length of the longest.
        if (arrays.y_train.dtype.kind == "U") != (y.dtype.kind == "U"):
            raise RequestError(
                f"{name}: y_train and y_{part} must be of one kind; "
                f"received {arrays.y_train.dtype} and {y.dtype}."
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
        hint = (
            f"Convert them with {name.rpartition(' ')[2]}.argmax(axis=1)."
            if _is_one_hot(y)
            else REGRESSION_HINT
        )
        raise RequestError(
            f"{name} must be (n,), one label per image, not one-hot; received {y.shape}. {hint}"
        )
    if y.dtype.kind not in "iuU":
        raise RequestError(
            f"{name} must hold integers, or texts without pickle; received {y.dtype}. "
            f"{_suggest_label_type(y, name.rpartition(' ')[2])}"
        )
    if y.dtype.kind == "U":
        _check_is_unicode(y, name)


def _check_is_unicode(y: Array, name: str) -> None:
    """Check that texts have no number that is no character: NumPy reads any number of 4 bytes."""
    codes = np.ascontiguousarray(y).view(f"{y.dtype.str[0]}u4")
    wrong = codes[(codes > sys.maxunicode) | ((codes >= 0xD800) & (codes <= 0xDFFF))]
    if len(wrong) > 0:
        raise RequestError(
            f"{name} must hold readable text; received the code {int(wrong[0]):#x}, which is no "
            "character of Unicode."
        )


def _is_one_hot(y: Array) -> bool:
    return (
        y.ndim == 2
        and y.dtype.kind in "biuf"
        and y.shape[1] > 1
        and bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
    )


def _suggest_label_type(y: Array, name: str) -> str:
    """Return what to do about labels that are neither integers nor texts."""
    if y.dtype.kind == "b":
        return f"Convert them with {name}.astype(int)."
    if y.dtype.kind == "S":
        return f"Convert them with {name}.astype(str)."
    if y.dtype.kind == "f" and _are_class_numbers(y):
        return (
            f"They look like class numbers: convert them with {name}.astype(int), or say "
            "task = 'regression' if they are numbers to predict."
        )
    return REGRESSION_HINT


def _are_class_numbers(y: Array) -> bool:
    """Return whether floats are few and whole; a price has many values even where it is whole."""
    values = np.unique(y)
    return bool(
        len(values) <= min(_MOST_WHOLE_CLASSES, len(y) / 2)
        and np.isfinite(values).all()
        and (values == np.rint(values)).all()
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
