"""Scales of the inputs, fitted on the training examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from assay.experiments.data.arrays import Array
from assay.models.data import StoredScale

CHUNK_ROWS = 256
"""Images or rows that are converted to float64 at a time, few enough for a processor's cache."""

LARGEST_BYTE = 255
LARGEST_DARK_PIXEL = 127
"""Images of bytes that do not exceed it are scaled by their own largest number."""


def fit_scales(
    x: Array, largest_pixel: int | None, centre: Array | None = None
) -> dict[str, StoredScale]:
    """Fit every scale that `[data] scale` can name, on the training examples.

    Args:
        x: training examples as stored, (n, features), (n, steps, features) or (n, height, width,
            channels).
        largest_pixel: largest possible value of x, whose smallest is 0; None to take both from x.
        centre: what was subtracted before x was stored, (features,) or (1,); None for nothing.

    Returns:
        "unit": [0, 1]. "standard": mean 0 and variance 1; a constant only gets mean 0. "none": the
        numbers as they are, with the centre added back.
    """
    return {
        "unit": _fit_unit_scale(x)
        if largest_pixel is None
        else _uniform_scale(1.0 / largest_pixel, x),
        "standard": _fit_standard_scale(x),
        "none": _uniform_scale(1.0, x, centre),
    }


def choose_largest_pixel(x: Array) -> int:
    """Return the number that stands for white in uint8 images.

    It is 255, or the largest of the images if that is at most 127: no image has half the light
    that bytes can hold, so 0 and 1, or 0 to 16, are all the levels that there are.
    """
    largest = int(x.max())
    return largest if 0 < largest <= LARGEST_DARK_PIXEL else LARGEST_BYTE


def find_scaled_ranges(
    x: Array, scales: Mapping[str, StoredScale]
) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest number of x after scaling, by scale."""
    # Over the examples first: that axis is long, and the last one may be short.
    smallest, largest = (
        extreme.reshape(-1, x.shape[-1]).astype(np.float64)
        for extreme in (x.min(axis=0), x.max(axis=0))
    )
    # No factor is negative, so that extremes stay extremes.
    return {
        name: (
            float((smallest * scale.factor + scale.offset).min()),
            float((largest * scale.factor + scale.offset).max()),
        )
        for name, scale in scales.items()
    }


def _uniform_scale(factor: float, x: Array, offset: Array | None = None) -> StoredScale:
    width = x.shape[-1]
    offsets = np.zeros(width) if offset is None else np.broadcast_to(offset, (width,))
    return StoredScale((factor,) * width, tuple(offsets.tolist()))


def _fit_unit_scale(x: Array) -> StoredScale:
    """Map the smallest number to 0 and the largest to 1."""
    # Each feature has a range of its own, over all steps of a sequence; all pixels of images share
    # one.
    axes = None if x.ndim == 4 else tuple(range(x.ndim - 1))
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
