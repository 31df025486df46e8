"""The split into training and validation examples, and training subsets."""

from __future__ import annotations

import numpy as np

from assay.experiments.data.arrays import Array
from assay.experiments.data.targets import Targets
from assay.models.errors import RequestError

DEFAULT_VALIDATION_DIVISOR = 6
"""A sixth of the training set validates by default: 10,000 of MNIST's 60,000 images."""


def count_validation(requested: int | None, training_images: int) -> int:
    """Return the number of validation images.

    Args:
        requested: the number under [data]; None for a sixth.
        training_images: size of the whole training set.

    Raises:
        RequestError: no image is left to train on.
    """
    count = requested
    if count is None:
        count = max(1, training_images // DEFAULT_VALIDATION_DIVISOR)
    if count >= training_images:
        raise RequestError(
            f"validation must be fewer than the training set's {training_images:,} images; "
            f"received {count:,}."
        )
    return count


def check_own_validation(requested: int | None, own: str) -> None:
    """Check that no examples are to be split off beside the data's own validation set.

    Args:
        requested: the number under [data]; None if it is not given.
        own: name of the data's own validation set, such as "x_val and y_val".

    Raises:
        RequestError: both are there.
    """
    if requested is not None:
        raise RequestError(
            f"validation must be left out where the data have a validation set, {own}; received "
            f"{requested:,}: remove validation, or {own}."
        )


def count_training(requested: int | None, available: int) -> int:
    """Return the number of training images.

    Args:
        requested: the number under [data]; None for all.
        available: number of images that are not validation images.

    Raises:
        RequestError: more images are requested than available.
    """
    if requested is not None and requested > available:
        raise RequestError(
            f"train_images must be at most the {available:,} images that validation leaves; "
            f"received {requested:,}."
        )
    return available if requested is None else requested


def split_indices(targets: Targets, validation: int, seed: int) -> tuple[Array, Array]:
    """Split the training set: stratified by class, or at random for regression.

    Args:
        targets: targets of the whole training set, n of them.
        validation: number of validation examples.
        seed: random seed of the split.

    Returns:
        Shuffled indices of the training examples, (n - validation,), and of the validation
        examples, (validation,).

    Raises:
        RequestError: either side has fewer examples than there are classes.
    """
    # Takes seconds to import, and only the process that prepares data needs it.
    from sklearn.model_selection import train_test_split

    y, classes = targets.train, targets.classes
    # Checked here, because scikit-learn's own message does not name the setting.
    if min(validation, len(y) - validation) < len(classes):
        raise RequestError(
            "validation must leave one image of each class or more on both sides: "
            f"{len(classes)} classes, {len(y):,} images; received {validation:,}."
        )
    training, validating = train_test_split(
        np.arange(len(y)), test_size=validation, stratify=y if classes else None, random_state=seed
    )
    # Stratification rounds: all examples of a rare class can end up in the validation set.
    if classes and len(missing := np.setdiff1d(y, y[training])) > 0:
        raise RequestError(
            f"validation = {validation:,} leaves no image of class {classes[missing[0]]} to train "
            "on: reduce it."
        )
    return training, validating


def shuffle_indices(count: int, seed: int) -> Array:
    """Return the indices of a training set off which nothing is split, shuffled, (count,).

    `select_subset` takes the first ones, which must be no particular ones.
    """
    return np.random.RandomState(seed).permutation(count)


def select_subset(training: Array, count: int, targets: Targets) -> Array:
    """Select a stratified subset of the training examples; for regression the first ones.

    The proportions are those of the divisor method with standard rounding (Webster, 1832), with at
    least one example of each class. A smaller subset is a part of a larger one.

    Args:
        training: shuffled indices, (n,).
        count: size of the subset, at most n.
        targets: targets of the whole training set.

    Returns:
        Indices (count,), in their order in `training`.

    Raises:
        RequestError: the subset has fewer examples than there are classes.
    """
    if not targets.classes:
        return training[:count]
    if count < len(targets.classes):
        raise RequestError(
            "train_images must leave one image of each class or more: "
            f"{len(targets.classes)} classes; received {count:,}."
        )
    rank, class_size = _rank_in_class(targets.train[training])
    # The example of rank r enters once its class's exact share rounds to r + 1, that is, when a
    # fraction (r + 0.5) / class_size of the training set is selected. Rank 0 enters first, so that
    # no class is left without an example.
    entry_fraction = np.where(rank == 0, 0.0, (rank + 0.5) / class_size)
    first_to_enter = np.argsort(entry_fraction, kind="stable")[:count]
    selected: Array = training[np.sort(first_to_enter)]
    return selected


def _rank_in_class(labels: Array) -> tuple[Array, Array]:
    """Return each label's rank within its class, and the size of its class; both (n,)."""
    by_class = np.argsort(labels, kind="stable")
    class_sizes = np.bincount(labels)
    class_starts = np.cumsum(class_sizes) - class_sizes
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - class_starts[labels[by_class]]
    return ranks, class_sizes[labels]
