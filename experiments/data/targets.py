"""What is to be predicted, as it is stored: labels as 0, 1, 2, ... and their names, or rows of
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays
from assay.experiments.data.source import Source
from assay.models.errors import RequestError
from assay.models.tasks import Task

# Labels as 0, 1, 2, ... and the names they stand for.


def encode_labels(y_train: Array, y_test: Array, name: str) -> tuple[tuple[str, ...], Array, Array]:
    """Number the labels by their place among the sorted labels of the training set.

    Args:
        y_train: (n,) integers or texts.
        y_test: (m,) like y_train.
        name: of the data set, for the message.

    Returns:
        The classes' names, and both arrays as int32.

    Raises:
        RequestError: fewer than two classes, a class with one image, or a test label that training
            never sees.
    """
    labels, numbers, counts = np.unique(y_train, return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise RequestError(
            f"{name}: y_train must hold two classes or more; received {len(labels)}."
        )
    if counts.min() < 2:
        label = labels[counts.argmin()]
        raise RequestError(
            f"{name}: every class must have two images or more, to train and to validate: class {label} has one."
        )
    unseen = np.setdiff1d(y_test, labels)
    if len(unseen) > 0:
        raise RequestError(f"{name}: every label of y_test must be in y_train; {unseen[0]} is not.")
    test_numbers = np.searchsorted(labels, y_test)
    return (
        tuple(str(label) for label in labels),
        numbers.astype(np.int32),
        test_numbers.astype(np.int32),
    )


def class_names(labels: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that belong to a source's labels 0, 1, 2, ... where it has just those, else
    the labels.
    """
    return names if labels == tuple(str(number) for number in range(len(names))) else labels


@dataclass(frozen=True)
class Targets:
    """The y of a whole training set and of a test set.

    Attributes:
        train: classification: int32 (n,); regression: float32 (n, outputs).
        test: likewise (m,) or (m, outputs).
        classes: names of the labels 0, 1, 2, ...; empty for regression.
        outputs: classes, or numbers a row.
    """

    train: Array
    test: Array
    classes: tuple[str, ...]
    outputs: int


def read_targets(arrays: SourceArrays, task: Task, source: Source) -> Targets:
    """Make of a source's checked y what is stored.

    Raises:
        RequestError: classes that cannot be trained on.
    """
    if task == "regression":
        train, test = _rows(arrays.y_train), _rows(arrays.y_test)
        return Targets(train, test, classes=(), outputs=train.shape[1])
    labels, train, test = encode_labels(arrays.y_train, arrays.y_test, source.name)
    return Targets(train, test, class_names(labels, source.classes), outputs=len(labels))


def _rows(y: Array) -> Array:
    return y.reshape(len(y), -1).astype(np.float32)
