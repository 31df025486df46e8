"""Targets as they are stored: numbered labels, or rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays
from assay.experiments.data.sources.base import Source
from assay.models.errors import RequestError
from assay.models.tasks import Task


@dataclass(frozen=True)
class Targets:
    """The targets of a training set and of its test set.

    Attributes:
        train: int32 (n,) labels, or for regression float32 (n, outputs).
        test: int32 (m,) labels, or for regression float32 (m, outputs).
        classes: names of the labels 0, 1, 2, ...; empty for regression.
        outputs: number of classes, or for regression the width of a row.
    """

    train: Array
    test: Array
    classes: tuple[str, ...]
    outputs: int


def read_targets(arrays: SourceArrays, task: Task, source: Source) -> Targets:
    """Convert a source's checked y to targets.

    Raises:
        RequestError: the labels cannot be trained on.
    """
    if task == "regression":
        train, test = _as_rows(arrays.y_train), _as_rows(arrays.y_test)
        return Targets(train, test, classes=(), outputs=train.shape[1])
    labels, train, test = encode_labels(arrays.y_train, arrays.y_test, source.name)
    # The source's names belong to the labels 0, 1, 2, ...; any other labels are their own names.
    expected_labels = tuple(str(number) for number in range(len(source.classes)))
    classes = source.classes if labels == expected_labels else labels
    return Targets(train, test, classes, outputs=len(labels))


def encode_labels(y_train: Array, y_test: Array, name: str) -> tuple[tuple[str, ...], Array, Array]:
    """Number the labels by their place among the sorted labels of the training set.

    Args:
        y_train: (n,) integers or texts.
        y_test: (m,), like y_train.
        name: the data set's name, for the message.

    Returns:
        The labels as texts, and both arrays as int32.

    Raises:
        RequestError: there are fewer than two classes, a class has one training image, or a test
            label is not in the training set.
    """
    # In sorted order, so that the numbers do not depend on the order of the examples.
    labels, numbers, counts = np.unique(y_train, return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise RequestError(
            f"{name}: y_train must hold two classes or more; received {len(labels)}."
        )
    # A stratified split needs an example of each class on both sides.
    if counts.min() < 2:
        label = labels[counts.argmin()]
        raise RequestError(
            f"{name}: every class must have two images or more, to train and to validate: "
            f"class {label} has one."
        )
    # The network has no output for a class that is not in the training set.
    unseen = np.setdiff1d(y_test, labels)
    if len(unseen) > 0:
        raise RequestError(f"{name}: every label of y_test must be in y_train; {unseen[0]} is not.")
    # Every test label is one of `labels`, so its insertion point is its number.
    test_numbers = np.searchsorted(labels, y_test)
    return (
        tuple(str(label) for label in labels),
        numbers.astype(np.int32),
        test_numbers.astype(np.int32),
    )


def _as_rows(y: Array) -> Array:
    # A single number per example is a row of width 1: losses and metrics only see rows.
    return y.reshape(len(y), -1).astype(np.float32)
