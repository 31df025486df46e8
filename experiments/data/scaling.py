"""Scales of the inputs, fitted on the training examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assay.experiments.data.arrays import Array
from assay.models.data import StoredScale

CHUNK_ROWS = 256
"""Images or rows that are converted to float64 at a time, few enough for a processor's cache."""


def fit_scales(x: Array, largest_pixel: int | None) -> dict[str, StoredScale]:
    """Fit every scale that `[data] scale` can name, on the training examples.

    Args:
        x: training examples as stored, (n, features) or (n, height, width, channels).
        largest_pixel: largest possible value of x, whose smallest is 0; None to take both from x.

    Returns:
        "unit": [0, 1]. "standard": mean 0 and variance 1; a constant only gets mean 0. "none": the
        numbers as they are.
    """
    return {
        "unit": _fit_unit_scale(x)
        if largest_pixel is None
        else _uniform_scale(1.0 / largest_pixel, x),
        "standard": _fit_standard_scale(x),
        "none": _uniform_scale(1.0, x),
    }


def _uniform_scale(factor: float, x: Array) -> StoredScale:
    width = x.shape[-1]
    return StoredScale((factor,) * width, (0.0,) * width)


def _fit_unit_scale(x: Array) -> StoredScale:
    """Map the smallest number to 0 and the largest to 1."""
    # Each feature has a range of its own; all pixels of images share one.
    axes = 0 if x.ndim == 2 else None
    smallest = np.broadcast_to(x.min(axis=axes), x.shape[-1:]).astype(np.float64)
    largest = np.broadcast_to(x.max(axis=axes), x.shape[-1:]).astype(np.float64)
    return _make_scale(smallest, largest - smallest)


def _fit_standard_scale(x: Array) -> StoredScale:
    """Map to mean 0 and variance 1: of each feature, or of each channel."""
    numbers = x.size // x.shape[-1]
    # Sums run over differences from the first number: if all numbers are equal, the mean is exactly
    # that number and the variance exactly 0.
    first = x.reshape(-1, x.shape[-1])[0].astype(np.float64)
    mean = first + sum(np.einsum("ij->j", rows - first) for rows in _iter_chunks(x)) / numbers
    squares = (np.einsum("ij,ij->j", rows - mean, rows - mean) for rows in _iter_chunks(x))
    return _make_scale(mean, np.sqrt(sum(squares) / numbers))


def _make_scale(centre: Array, spread: Array) -> StoredScale:
    """Return the scale (x - centre) / spread."""
    # A spread whose inverse overflows float32 counts as none.
    spread = np.where(spread > 1.0 / float(np.finfo(np.float32).max), spread, 1.0)
    return StoredScale(tuple((1.0 / spread).tolist()), tuple(((0.0 - centre) / spread).tolist()))


def _iter_chunks(x: Array) -> Iterator[Array]:
    """Iterate over x as float64 arrays of shape (rows, last axis)."""
    # The whole array as float64 would take eight times the memory of uint8 images.
    for start in range(0, len(x), CHUNK_ROWS):
        yield x[start : start + CHUNK_ROWS].astype(np.float64).reshape(-1, x.shape[-1])
