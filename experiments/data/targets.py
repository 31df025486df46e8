"""What is to be predicted, as it is stored: labels as 0, 1, 2, ... and their names, or rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.data.arrays import Array, SourceArrays
from experiments.data.labels import class_names, encode_labels
from experiments.data.source import Source
from models.tasks import Task


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
