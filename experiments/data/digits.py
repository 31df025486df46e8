"""The digits that come with scikit-learn, with a test set of our own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.known import DIGITS, KnownSet
from assay.experiments.data.source import Source

TEST_FRACTION = 0.2
TEST_SEED = 0
"""Fixed for good: another seed would be another test set."""


def load_digits() -> SourceArrays:
    """Return 1,437 training and 360 test images, (n, 8, 8) uint8 from 0 to 16; labels (n,) uint8.

    scikit-learn gives one set of 1,797; a stratified fifth is the test set.
    """
    from sklearn.datasets import (
        load_digits as load,
    )  # takes seconds to import, and only the child needs it
    from sklearn.model_selection import train_test_split

    bunch = load()
    x_train, x_test, y_train, y_test = train_test_split(
        bunch.images.astype(np.uint8),
        bunch.target.astype(np.uint8),
        test_size=TEST_FRACTION,
        stratify=bunch.target,
        random_state=TEST_SEED,
    )
    return SourceArrays(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


@dataclass(frozen=True)
class DigitsSource(Source):
    """The digits in the scikit-learn that is installed."""

    name: str = "digits"

    @property
    def known(self) -> KnownSet:
        """What was published about them."""
        return DIGITS

    def cache_key(self) -> str:
        """Return scikit-learn's version."""
        return f"scikit-learn {version('scikit-learn')}"

    def count(self) -> int:
        """Return how many images there are but those of the test set."""
        return DIGITS.train_images

    def load(self) -> SourceArrays:
        """Read and split them; imports scikit-learn."""
        return load_digits()
