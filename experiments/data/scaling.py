"""How numbers are scaled: one factor and one offset for each entry of the last axis, fitted on the
training split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay.experiments.data.arrays import Array

CHUNK_ROWS = 256
"""Images or rows that are widened to float64 at a time: few enough for a processor's cache, let
alone for memory.
"""


@dataclass(frozen=True)
class Scale:
    """scaled = x.astype(float32) * factor + offset, along the last axis.

    Attributes:
        factor: one for each channel of an image, or for each feature.
        offset: likewise.
    """

    factor: tuple[float, ...]
    offset: tuple[float, ...]


def fit_scales(x: Array, largest_value: int | None) -> dict[str, Scale]:
    """Fit every scaling that an experiment can ask for.

    Args:
        x: the training split as stored, (n, features) or (n, height, width, channels).
        largest_value: that a number can have when the smallest is 0, known beforehand; None where
            the split decides.

    Returns:
        By name: "unit", [0, 1]; "standard", mean 0 and variance 1 (a constant is divided by 1);
        "none".
    """
    width = x.shape[-1]
    return {
        "unit": _unit(x)
        if largest_value is None
        else Scale((1.0 / largest_value,) * width, (0.0,) * width),
        "standard": _standard(x),
        "none": Scale((1.0,) * width, (0.0,) * width),
    }


def _unit(x: Array) -> Scale:
    """Map the split's smallest number to 0 and its largest to 1: per feature, or over whole
    images.
    """
    axes = 0 if x.ndim == 2 else None
    smallest, largest = (
        np.broadcast_to(extreme(axis=axes), x.shape[-1:]) for extreme in (x.min, x.max)
    )
    return _affine(
        smallest.astype(np.float64), largest.astype(np.float64) - smallest.astype(np.float64)
    )


def _standard(x: Array) -> Scale:
    """Map to mean 0 and variance 1: per feature, or per channel."""
    numbers = x.size // x.shape[-1]
    # Counted from the first number, equal numbers have exactly their own mean and exactly no
    # variance.
    first = x.reshape(-1, x.shape[-1])[0].astype(np.float64)
    mean = first + sum(np.einsum("ij->j", rows - first) for rows in _chunks(x)) / numbers
    variance = sum(np.einsum("ij,ij->j", rows - mean, rows - mean) for rows in _chunks(x)) / numbers
    return _affine(mean, np.sqrt(variance))


def _affine(centre: Array, spread: Array) -> Scale:
    # A spread whose inverse float32 cannot hold is no spread.
    spread = np.where(spread > 1.0 / float(np.finfo(np.float32).max), spread, 1.0)
    return Scale(tuple((1.0 / spread).tolist()), tuple(((0.0 - centre) / spread).tolist()))


def _chunks(x: Array) -> Iterator[Array]:
    """Iterate over x as (rows, last axis)."""
    for start in range(0, len(x), CHUNK_ROWS):
        yield x[start : start + CHUNK_ROWS].astype(np.float64).reshape(-1, x.shape[-1])
