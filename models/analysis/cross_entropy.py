"""The cross entropy of given outputs, as Keras computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compute_cross_entropy(
    outputs: NDArray[Any], labels: NDArray[Any], *, from_logits: bool
) -> NDArray[np.float32]:
    """Return the cross entropy of each example in float32.

    Args:
        outputs: logits, or probabilities whose rows sum to 1 (examples, classes).
        labels: class of each example (examples,).
        from_logits: whether the outputs are logits. Keras limits probabilities to at least 1e-7.

    Returns:
        The loss of each example (examples,).

    Example:
        >>> compute_cross_entropy(np.zeros((1, 10)), np.array([3]), from_logits=True)
        array([2.3025851], dtype=float32)
    """
    import keras  # here, because its backend must be chosen first

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits, reduction=None)
    found = loss(np.asarray(labels, np.int32), np.asarray(outputs, np.float32))
    return np.asarray(keras.ops.convert_to_numpy(found), np.float32)
