"""Targets: numbered labels, or rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.experiments.data.arrays import REGRESSION_HINT, Array, SourceArrays
from assay.experiments.data.sources.base import Source
from assay.models.errors import RequestError
from assay.models.tasks import Task


@dataclass(frozen=True)
class Targets:
    """The targets of a training set and of the sets beside it.

    Attributes:
        train: int32 (n,) labels, or for regression (n, outputs) numbers of the source's type.
        test: (m, ...), like train.
        classes: names of the labels 0, 1, 2, ...; empty for regression.
        outputs: number of classes, or for regression the width of a row.
        validation: (k, ...), like train; None if validation examples are to be split off.
    """

    train: Array
    test: Array
    classes: tuple[str, ...]
    outputs: int
    validation: Array | None = None


def read_targets(arrays: SourceArrays, task: Task, source: Source) -> Targets:
    """Convert a source's checked y to targets.

    Raises:
        RequestError: the labels cannot be trained on.
    """
    if task == "regression":
        train, test = _as_rows(arrays.y_train), _as_rows(arrays.y_test)
        validation = None if arrays.y_validation is None else _as_rows(arrays.y_validation)
        return Targets(train, test, (), train.shape[1], validation)
    labels, numbers = encode_labels(arrays, source.name)
    # The source's names belong to the labels 0, 1, 2, ...; any other labels are their own names.
    expected_labels = tuple(str(number) for number in range(len(source.classes)))
    classes = source.classes if labels == expected_labels else labels
    validation = numbers.get(arrays.validation_part)
    return Targets(numbers["train"], numbers["test"], classes, len(labels), validation)


def encode_labels(arrays: SourceArrays, name: str) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Number the labels by their place among the sorted labels of the training set.

    Args:
        arrays: whose y hold (n,) integers or texts.
        name: the data set's name, for the message.

    Returns:
        The labels as texts, and the numbers of each part as int32.

    Raises:
        RequestError: there are fewer than two classes, a class has too few training images, or
            a label of another part is not in the training set.
    """
    # In sorted order, so that the numbers do not depend on the order of the examples.
    labels, numbers, counts = np.unique(arrays.y_train, return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise RequestError(
            f"{name}: y_train must hold two classes or more; received {len(labels)}."
        )
    # A stratified split needs an example of each class on both sides.
    if counts.min() < 2 and arrays.y_validation is None:
        label = labels[counts.argmin()]
        hint = "" if labels.dtype.kind == "U" else f" {REGRESSION_HINT}"
        raise RequestError(
            f"{name}: every class must have two images or more, to train and to validate: "
            f"class {label} has one.{hint}"
        )
    encoded = {"train": numbers.astype(np.int32)}
    for part, _, y in arrays.parts():
        if part == "train":
            continue
        # The network has no output for a class that is not in the training set.
        unseen = np.setdiff1d(y, labels)
        if len(unseen) > 0:
            raise RequestError(
                f"{name}: every label of y_{part} must be in y_train; {unseen[0]} is not."
            )
        # Every label is one of `labels`, so its insertion point is its number.
        encoded[part] = np.searchsorted(labels, y).astype(np.int32)
    return tuple(str(label) for label in labels), encoded


def _as_rows(y: Array) -> Array:
    # A single number per example is a row of width 1: losses and metrics only see rows.
    return y.reshape(len(y), -1)
