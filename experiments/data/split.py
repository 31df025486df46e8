"""Which images of the training set train, and which validate."""

from __future__ import annotations

import numpy as np

from experiments.data.arrays import Array
from models.errors import RequestError

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


def split(labels: Array, validation: int, seed: int, classes: tuple[str, ...]) -> tuple[Array, Array]:
    """Split the training set, each class in its share.

    Args:
        labels: (n,) from 0 to `len(classes)` - 1.
        validation: how many images validate.
        seed: decides which.
        classes: their names, for the message.

    Returns:
        The indices of those that train, (n - validation,), and of those that validate, (validation,), both shuffled.

    Raises:
        RequestError: too few of either for the number of classes.
    """
    from sklearn.model_selection import train_test_split  # takes seconds to import, and only the child needs it

    if min(validation, len(labels) - validation) < len(classes):
        raise RequestError(
            f"validation must leave one image a class or more on both sides: {len(classes)} classes, "
            f"{len(labels):,} images; received {validation:,}."
        )
    training, validating = train_test_split(
        np.arange(len(labels)), test_size=validation, stratify=labels, random_state=seed
    )
    missing = np.setdiff1d(labels, labels[training])
    if len(missing) > 0:
        raise RequestError(
            f"validation = {validation:,} leaves no image of class {classes[missing[0]]} to train on: ask for fewer."
        )
    return training, validating
