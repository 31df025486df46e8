"""How much arithmetic the training of a perceptron takes at least."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def training_flop(widths: Sequence[int], images: int) -> int:
    """Return the multiplications and additions of one pass over the images: matrix products alone.

    Forward, the gradients of all weights, and the gradients of each layer's inputs but the first's,
    which nobody needs.

    Args:
        widths: of the layers, inputs first and outputs last.
        images: trained on.
    """
    forward = [2 * inputs * outputs for inputs, outputs in pairwise(widths)]
    return images * (2 * sum(forward) + sum(forward[1:]))
