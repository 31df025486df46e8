"""Minimum arithmetic of training a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def training_flop(widths: Sequence[int], images: int) -> int:
    """Return the multiplications and additions of one epoch.

    Only matrix products count: the forward pass, the gradients of all weights, and the gradients
    of the inputs of each layer except the first, where training does not need them.

    Args:
        widths: widths of the layers, from the inputs to the outputs.
        images: number of training images.
    """
    forward = [2 * inputs * outputs for inputs, outputs in pairwise(widths)]
    return images * (2 * sum(forward) + sum(forward[1:]))
