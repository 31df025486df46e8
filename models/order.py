"""The order in which an epoch sees the training images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def batch_order(seed: int, epoch: int, images: int) -> NDArray[np.int32]:
    """Return a permutation of the images' indices, shape (images,).

    It follows from the trial's seed and the epoch's number (from 0) alone, so every backend sees the same batches.
    """
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)
