"""Offsets that are subtracted before numbers are stored as float32.

float32 has 24 significant bits: all Unix times within a minute are one number in it, and a latitude
keeps no centimetres. Where that loses what distinguishes the training examples, a centre is
subtracted first, in float64, or exactly if the numbers are 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay.experiments.data.arrays import Array

LARGEST_ROUNDING = 1e-4
"""Largest rounding by the cast to float32, in standard deviations, that is left as it is."""

VISIBLE_ROUNDING = 1e-2
"""Likewise for numbers that float32 holds exactly: then only scaling rounds them. It is also the
rounding from which on a warning is due.
"""

SMALLEST_GAIN = 8.0
"""An input is centred only if its magnitude is at least this many times its range."""

NOISE = 1e-12
"""Range of float64 numbers, relative to their magnitude, that is taken for rounding noise."""

LARGE_OFFSET = 100.0
"""Mean of a target, in standard deviations, from which on the target is centred. A network begins
near 0, and training would be spent on the offset.
"""

_CHUNK_NUMBERS = 2**18
_EXACT_INTEGERS = 2.0**53
_EXACT_DIFFERENCES = 2.0**62


@dataclass(frozen=True)
class Centre:
    """What is subtracted from inputs before the cast to float32.

    Attributes:
        values: float64 (features,), or (1,) for images; 0 where nothing is subtracted.
        is_lossy: bool of the same shape: whether float32 could not hold the numbers themselves, so
            that the scale "none" loses part of them.
    """

    values: Array
    is_lossy: Array


@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest numbers, in the type of the array.

    Attributes:
        smallest: (features,), or (1,) for images.
        largest: of the same shape.
    """

    smallest: Array
    largest: Array

    @property
    def spread(self) -> Array:
        """Largest minus smallest, float64."""
        return subtract(self.largest, self.smallest)

    @property
    def magnitude(self) -> Array:
        """Largest absolute value, float64."""
        magnitude: Array = np.maximum(
            np.abs(self.smallest.astype(np.float64)), np.abs(self.largest.astype(np.float64))
        )
        return magnitude

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest number of all."""
        return float(self.smallest.min()), float(self.largest.max())


def find_extremes(x: Array, indices: Array | None = None) -> Extremes:
    """Return the extremes of each feature; all pixels of images count as one.

    Args:
        x: (n, features), (n, steps, features) or (n, height, width, channels).
        indices: the examples to look at; None for all.
    """
    smallest, largest = [], []
    for rows in _iter_groups(x, indices):
        smallest.append(rows.min(axis=0))
        largest.append(rows.max(axis=0))
    return Extremes(np.min(smallest, axis=0), np.max(largest, axis=0))


def fit_centre(x: Array, indices: Array, extremes: Extremes) -> Centre | None:
    """Return what must be subtracted from inputs; None if float32 can hold them as they are.

    Args:
        x: inputs in the type of their source, as for `find_extremes`.
        indices: the training examples.
        extremes: of the training examples.
    """
    spread, magnitude = extremes.spread, extremes.magnitude
    rounding = np.spacing(magnitude.astype(np.float32)).astype(np.float64) / 2
    numbers = len(indices) * (x[0].size // spread.size)
    # The standard deviation of n numbers is at least range / sqrt(2 n), so that most arrays need
    # no second look.
    candidates = (
        (spread > 0)
        & (SMALLEST_GAIN * spread < magnitude)
        & (rounding * np.sqrt(2.0 * numbers) > LARGEST_ROUNDING * spread)
    )
    if x.dtype.kind == "f" and x.dtype.itemsize >= 8:
        candidates &= spread > NOISE * magnitude
    if not candidates.any():
        return None
    mean, deviation = _fit_moments(x, indices, extremes.smallest)
    is_exact = _is_exact(x, indices) & (magnitude < _EXACT_INTEGERS)
    limit = np.where(is_exact, VISIBLE_ROUNDING, LARGEST_ROUNDING)
    centred = candidates & (rounding > limit * deviation)
    if not centred.any():
        return None
    values = _place(extremes.smallest, mean)
    # A float32 centre can be added back without loss to numbers that were float32.
    values = np.where(is_exact, values.astype(np.float32).astype(np.float64), values)
    is_lossy = centred & ~is_exact & (rounding > VISIBLE_ROUNDING * deviation)
    return Centre(np.where(centred, values, 0.0), is_lossy)


def fit_target_offset(y: Array, indices: Array) -> Array | None:
    """Return the offset of each target, float64 (outputs,); None if no target has a large one.

    Args:
        y: targets in the type of their source, (n, outputs).
        indices: the training examples.
    """
    smallest = find_extremes(y, indices).smallest
    mean, deviation = _fit_moments(y, indices, smallest)
    offset = _place(smallest, mean)
    centred = (deviation > 0) & (np.abs(offset) >= LARGE_OFFSET * deviation)
    return np.where(centred, offset, 0.0) if centred.any() else None


def to_float32(x: Array, indices: Array | None = None, centre: Array | None = None) -> Array:
    """Return numbers as float32, after the centre is subtracted.

    Args:
        x: (n, ..., features) in the type of its source.
        indices: the examples to return; None for all.
        centre: float64 (features,), or (1,) for images; None to subtract nothing.
    """
    stored = np.empty((len(x) if indices is None else len(indices), *x.shape[1:]), np.float32)
    # Where nothing is subtracted, the cast stays the same as without a centre.
    columns = None if centre is None else np.flatnonzero(np.broadcast_to(centre, x.shape[-1:]))
    start = 0
    for rows in _iter_rows(x, indices):
        part = stored[start : start + len(rows)]
        part[...] = rows.astype(np.float32)
        if centre is not None:
            values = np.broadcast_to(centre, x.shape[-1:])[columns]
            part[..., columns] = subtract(rows[..., columns], values)
        start += len(rows)
    return stored


def subtract(x: Array, centre: Array) -> Array:
    """Return x - centre as float64; exact for 64-bit integers before that conversion.

    Args:
        x: numbers of any type.
        centre: numbers of the type of x, or float64; whole if x holds integers.
    """
    difference: Array = x.astype(np.float64) - centre.astype(np.float64)
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        # Modulo 2**64, which is right for every difference that int64 can hold.
        whole = [int(number) % 2**64 for number in centre.reshape(-1).tolist()]
        modulus = np.array(whole, np.uint64).reshape(centre.shape)
        exact = (x.astype(np.uint64) - modulus).view(np.int64)
        difference = np.where(np.abs(difference) < _EXACT_DIFFERENCES, exact, difference)
    return difference


def _place(smallest: Array, mean: Array) -> Array:
    """Return the centre, float64; whole if the numbers are integers."""
    if smallest.dtype.kind in "iu":
        centres = [
            float(int(low) + round(above))
            for low, above in zip(smallest.tolist(), mean.tolist(), strict=True)
        ]
        return np.array(centres, np.float64)
    centre: Array = smallest.astype(np.float64) + mean
    return centre


def _fit_moments(x: Array, indices: Array, smallest: Array) -> tuple[Array, Array]:
    """Return the mean above the smallest number, and the standard deviation."""
    sums = np.zeros(len(smallest))
    squares = np.zeros(len(smallest))
    numbers = 0
    for rows in _iter_groups(x, indices):
        above = subtract(rows, smallest)
        sums += above.sum(axis=0)
        squares += np.einsum("ij,ij->j", above, above)
        numbers += len(rows)
    mean = sums / numbers
    return mean, np.sqrt(np.maximum(squares / numbers - mean**2, 0.0))


def _is_exact(x: Array, indices: Array) -> Array:
    """Return for each feature whether float32 holds all its numbers exactly."""
    exact = [
        (rows.astype(np.float32).astype(np.float64) == rows.astype(np.float64)).all(axis=0)
        for rows in _iter_groups(x, indices)
    ]
    all_exact: Array = np.all(exact, axis=0)
    return all_exact


def _iter_groups(x: Array, indices: Array | None) -> Iterator[Array]:
    """Iterate over x as (numbers, features), or (numbers, 1) for images."""
    for rows in _iter_rows(x, indices):
        yield rows.reshape(-1, 1 if x.ndim == 4 else x.shape[-1])


def _iter_rows(x: Array, indices: Array | None) -> Iterator[Array]:
    """Iterate over parts of the examples, so that no temporary array has the size of x."""
    count = max(1, _CHUNK_NUMBERS * len(x) // x.size)
    for start in range(0, len(x) if indices is None else len(indices), count):
        stop = start + count
        yield x[start:stop] if indices is None else x[indices[start:stop]]
