"""Which examples of the training set train, and which validate."""

from __future__ import annotations

import numpy as np

from assay.experiments.data.arrays import Array
from assay.experiments.data.targets import Targets
from assay.models.errors import RequestError

DEFAULT_FRACTION = 6
"""A sixth validates unless the experiment says how many: 10,000 of MNIST's 60,000."""


def validation_images(asked: int | None, training_images: int) -> int:
    """Return how many of the training set's images validate.

    Raises:
        RequestError: none would be left to train on.
    """
    count = max(1, training_images // DEFAULT_FRACTION) if asked is None else asked
    if count >= training_images:
        raise RequestError(
            f"validation must be fewer than the training set's {training_images:,} images; received {count:,}."
        )
    return count


def kept_images(asked: int | None, available: int) -> int:
    """Return how many of the images that are left without validation are trained on.

    Raises:
        RequestError: more than there are.
    """
    if asked is not None and asked > available:
        raise RequestError(
            f"train_images must be at most the {available:,} images that are left without validation; "
            f"received {asked:,}."
        )
    return available if asked is None else asked


def split(targets: Targets, validation: int, seed: int) -> tuple[Array, Array]:
    """Split the training set, each class in its share; for regression at random.

    Args:
        targets: of the whole training set, n of them.
        validation: how many examples validate.
        seed: decides which.

    Returns:
        The indices of those that train, (n - validation,), and of those that validate,
        (validation,), both shuffled.

    Raises:
        RequestError: too few of either for the number of classes.
    """
    from sklearn.model_selection import (
        train_test_split,
    )  # takes seconds to import, and only the child needs it

    y, classes = targets.train, targets.classes
    if min(validation, len(y) - validation) < len(classes):
        raise RequestError(
            f"validation must leave one image a class or more on both sides: {len(classes)} classes, "
            f"{len(y):,} images; received {validation:,}."
        )
    training, validating = train_test_split(
        np.arange(len(y)), test_size=validation, stratify=y if classes else None, random_state=seed
    )
    if classes and len(missing := np.setdiff1d(y, y[training])) > 0:
        raise RequestError(
            f"validation = {validation:,} leaves no image of class {classes[missing[0]]} to train on: ask for fewer."
        )
    return training, validating


def subset(training: Array, count: int, targets: Targets) -> Array:
    """Keep some of the examples that train, each class in its share but no class without any; for
    regression the first.

    A smaller count keeps a part of what a larger one keeps. The shares are those of the divisor
    method with standard rounding (Webster, 1832): of each class the next to keep is the one that
    its share, rounded, has room for first.

    Args:
        training: shuffled indices, (n,).
        count: how many to keep, at most n.
        targets: of the whole training set.

    Returns:
        Indices (count,), in their order in `training`.

    Raises:
        RequestError: fewer than the classes.
    """
    if not targets.classes:
        return training[:count]
    if count < len(targets.classes):
        raise RequestError(
            f"train_images must leave one image of each class or more: {len(targets.classes)} classes; "
            f"received {count:,}."
        )
    rank, size = _ranks(targets.train[training])
    turn = np.where(rank == 0, 0.0, (rank + 0.5) / size)
    kept: Array = training[np.sort(np.argsort(turn, kind="stable")[:count])]
    return kept


def _ranks(labels: Array) -> tuple[Array, Array]:
    """Return for each label how many of its class come before it, and how many its class has, both
    (n,).
    """
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    first = np.cumsum(sizes) - sizes
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    return ranks, sizes[labels]
