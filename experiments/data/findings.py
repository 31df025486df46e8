"""What the numbers of a data set say against it: warnings for the user, one line each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays
from assay.experiments.data.centring import Centre, Extremes, find_extremes
from assay.models.data import StoredScale

LARGEST_RANGE_RATIO = 20.0
"""Largest ratio of the ranges of validation and training inputs that draws no warning."""

FAR_OUTSIDE = (-1.0, 2.0)
"""Validation inputs beyond these numbers, where training inputs lie in [0, 1], are far outside."""

FEWEST_VALIDATION_ROWS = 10
"""From fewer rows the range of a feature is not estimated."""

FEWEST_NUMBERS = 20
"""Up to so many different integers are classes, whatever they are."""

FEWEST_PER_CLASS = 10
"""Labels with so many examples each, on average, are classes too."""

_MISSING_TEXTS = ("nan", "NaN", "<NA>", "NaT", "")
_SAMPLE_NUMBERS = 2**20
_QUANTILES = (0.05, 0.95)
_CHUNK_ROWS = 256


def find_constant_inputs(extremes: Extremes) -> Iterator[str]:
    """Yield a warning if all training inputs are one number."""
    smallest, largest = extremes.range
    if smallest == largest:
        yield f"every number of x_train is {smallest:g}: no network can learn from it; check x."


def find_missing_labels(arrays: SourceArrays) -> Iterator[str]:
    """Yield a warning if a label is what a missing number becomes as an integer or as text."""
    y = arrays.y_train
    missing: list[int | str] = []
    if y.dtype.kind == "i" and y.dtype.itemsize >= 4:
        missing = [int(np.iinfo(y.dtype).min)]
    elif y.dtype.kind == "U":
        missing = [*_MISSING_TEXTS]
    for label in missing:
        if (count := int((y == label).sum())) == 0:
            continue
        yield (
            f"{count:,} labels of y_train are {label!r}, as missing ones become, and count as a "
            "class: remove these examples, or give them labels."
        )


def find_constant_targets(arrays: SourceArrays) -> Iterator[str]:
    """Yield a warning if all numbers to predict are one number."""
    smallest, largest = arrays.y_train.min(), arrays.y_train.max()
    if smallest == largest:
        yield f"every number of y_train is {smallest:g}: there is nothing to learn; check y."


def find_numbers_as_labels(arrays: SourceArrays) -> Iterator[str]:
    """Yield a warning if integer labels look like numbers to predict.

    Class numbers are few, have many examples each, or count from 0 or 1 without gaps.
    """
    if arrays.y_train.dtype.kind not in "iu":
        return
    labels = np.unique(arrays.y_train)
    count, first, last = len(labels), int(labels[0]), int(labels[-1])
    if (
        count > FEWEST_NUMBERS
        and len(arrays.y_train) < FEWEST_PER_CLASS * count
        and (first not in (0, 1) or last - first != count - 1)
    ):
        yield (
            f"y_train has {count:,} classes from {first} to {last} with "
            f"{len(arrays.y_train) / count:.1f} examples each on average: if they are numbers to "
            "predict, set task = 'regression'."
        )


def find_other_validation_range(
    x_train: Array, x_validation: Array, unit: StoredScale, source: SourceArrays
) -> Iterator[str]:
    """Yield a warning if the validation inputs were not scaled as the training inputs were.

    Args:
        x_train: training inputs as stored.
        x_validation: validation inputs as stored, which were not split off the training set.
        unit: the scale that maps the training inputs to [0, 1].
        source: the inputs as the user has them, for the message.
    """
    assert source.x_validation is not None
    ratio = _range_ratio(x_train, x_validation)
    is_far = _fraction_outside(x_validation, unit) >= 0.5
    if is_far or not 1 / LARGEST_RANGE_RATIO <= ratio <= LARGEST_RANGE_RATIO:
        ranges = [
            "from {:g} to {:g}".format(*find_extremes(x).range)
            for x in (source.x_validation, source.x_train)
        ]
        yield (
            f"x_{source.validation_part} does not have the range of x_train: it runs {ranges[0]}, "
            f"x_train {ranges[1]}; scale both in the same way."
        )


def find_rounded_inputs(
    centre: Centre | None, extremes: Extremes, input_shape: tuple[int, ...]
) -> Iterator[str]:
    """Yield a warning if float32 cannot hold the inputs as they are.

    It matters with the scale "none" only: other scales are applied to centred inputs.
    """
    if centre is None or not centre.is_lossy.any():
        return
    lossy = np.flatnonzero(centre.is_lossy)
    first = lossy[0]
    smallest, largest = float(extremes.smallest[first]), float(extremes.largest[first])
    steps = float(np.spacing(np.float32(extremes.magnitude[first])))
    where = "x_train" if len(input_shape) == 3 else f"x_train[..., {first}]"
    more = f" ({len(lossy) - 1} more such features)" if len(lossy) > 1 else ""
    yield (
        f"scale = 'none' rounds {where} to float32, in steps of {steps:g}: it runs from "
        f"{smallest:.12g} to {largest:.12g}{more}; set scale = 'unit' or 'standard', or number "
        "them from 0 if they are indices."
    )


def _fraction_outside(x: Array, unit: StoredScale) -> float:
    low, high = FAR_OUTSIDE
    factor, offset = np.asarray(unit.factor), np.asarray(unit.offset)
    outside = 0
    for start in range(0, len(x), _CHUNK_ROWS):
        scaled = x[start : start + _CHUNK_ROWS] * factor + offset
        outside += int(np.count_nonzero((scaled < low) | (scaled > high)))
    return outside / x.size


def _range_ratio(x_train: Array, x_validation: Array) -> float:
    """Return how many times wider the validation inputs are; 1 if that cannot be said."""
    if x_train.ndim != 4 and len(x_validation) < FEWEST_VALIDATION_ROWS:
        return 1.0
    train, validation = _ranges(x_train), _ranges(x_validation)
    varied = (train > 0) & (validation > 0)
    # The median, so that a few features with outliers do not count.
    return float(np.median(validation[varied] / train[varied])) if varied.any() else 1.0


def _ranges(x: Array) -> Array:
    """Return the range of images, or that of each feature without its outliers."""
    if x.ndim == 4:
        return find_extremes(x).spread
    sample = x[:: max(1, x.size // _SAMPLE_NUMBERS)].reshape(-1, x.shape[-1])
    low, high = np.quantile(sample.astype(np.float64), _QUANTILES, axis=0)
    ranges: Array = high - low
    return ranges
