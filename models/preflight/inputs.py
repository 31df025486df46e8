"""Inputs of a model: scaled twice, or used as indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.models import keras_compat
from assay.models.data import Array
from assay.models.preflight.outputs import compute_outputs, scaled_weights

if TYPE_CHECKING:
    import keras

# A model that divides by 255 shrinks the spread by that, and standardization of bytes by about 70.
_SHRUNK = 1 / 20
_SENSIBLE_SPREAD = (0.005, 20.0)
# Of the mean over the spread. Bytes have about 1; numbers from 0 to 1 minus 110 have 400.
_FAR_FROM_ZERO = 20.0
_NEAR_ZERO = 5.0

_SENSIBLE_COLUMN = (0.1, 10.0)
_MOST, _FEW = 0.8, 0.6

_MOST_COLUMNS = 256
_NOISE = 0.1
_DRAWS = 3


@dataclass(frozen=True)
class _Spread:
    """Numbers of some examples: range, standard deviation, and mean over it.

    Deviation and mean are those of a channel or feature, averaged over all of these.
    """

    low: float
    high: float
    deviation: float
    offset: float

    @classmethod
    def measure(cls, x: Array) -> _Spread:
        columns = x.reshape(-1, x.shape[-1]).astype(np.float64)
        deviation = float(columns.std(axis=0).mean())
        offset = float(np.abs(columns.mean(axis=0)).mean()) / max(deviation, 1e-30)
        return cls(float(x.min()), float(x.max()), deviation, offset)

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def find_double_scaling(model: keras.Model, x: Array, x_raw: Array) -> str | None:
    """Return how inputs are scaled twice, by [data] and by the model, or None.

    What the model's first layer with a kernel receives is compared: for scaled inputs, and for the
    inputs as the user has them. Only if the latter suits a layer and the former does not, the model
    was made for unscaled inputs.

    Args:
        model: built.
        x: some scaled inputs.
        x_raw: the same inputs, not scaled.
    """
    if np.array_equal(x, x_raw):
        return None
    received, received_unscaled = (_record_kernel_input(model, inputs) for inputs in (x, x_raw))
    if received is None or received_unscaled is None:
        return None
    data, layer, unscaled = (_Spread.measure(a) for a in (x, received, received_unscaled))
    low, high = _SENSIBLE_SPREAD
    is_shrunk = layer.deviation < _SHRUNK * data.deviation and low <= unscaled.deviation <= high
    is_shifted = layer.offset > _FAR_FROM_ZERO and max(data.offset, unscaled.offset) < _NEAR_ZERO
    is_uneven = (
        not np.array_equal(x, received)
        and _share_of_sensible_columns(received_unscaled) >= _MOST
        and _share_of_sensible_columns(received) <= _FEW
    )
    if is_shrunk or is_shifted or is_uneven:
        seen = f"the model makes {layer} of that, and {unscaled} of unscaled inputs"
        return f"[data] gives {data}, {seen}"
    return None


def _share_of_sensible_columns(x: Array) -> float:
    """Return the share of features with numbers that suit a layer, without constant features.

    A standardization that was fitted on unscaled inputs suits those in every feature. Of scaled
    inputs it makes huge numbers of some features and constants of others.
    """
    columns = x.reshape(-1, x.shape[-1]).astype(np.float64)
    deviation, mean = columns.std(axis=0), columns.mean(axis=0)
    varies = deviation > 0
    low, high = _SENSIBLE_COLUMN
    is_sensible = (deviation >= low) & (deviation <= high) & (np.abs(mean) < _NEAR_ZERO * deviation)
    return float(is_sensible[varies].mean()) if varies.any() else 0.0


def _record_kernel_input(model: keras.Model, x: Array) -> Array | None:
    """Return what the first layer with a kernel receives: a weight of two axes or more."""
    with keras_compat.record_layer_calls() as calls:
        compute_outputs(model, x)
    for layer, received in calls:
        # The order is that in which calls return: a layer comes before those that contain it.
        if any(len(weight.shape) >= 2 for weight in layer.weights):
            array = keras_compat.as_array(received)
            return array if array is not None and array.ndim >= 2 else None
    return None


def find_index_columns(model: keras.Model, x_raw: Array) -> Array | None:
    """Return which inputs a model uses as indices, such as those of an Embedding.

    An index is used as a whole number: 0 and 0.4 give the same outputs, 0, 1 and 2 do not. Indices
    may not start at 0, so the smallest numbers of the data are tried too.

    Args:
        model: built.
        x_raw: some inputs as the user has them.

    Returns:
        bool (features,), or one bool for all inputs if there are other axes or many features; None
        if the model can't be called on such numbers.
    """
    found = [
        columns
        for smallest in (np.zeros(x_raw.shape[-1]), _smallest_numbers(x_raw))
        if (columns := _find_index_columns(model, x_raw.shape[1:], smallest)) is not None
    ]
    return next((columns for columns in found if columns.any()), found[0] if found else None)


def _smallest_numbers(x: Array) -> Array:
    smallest: Array = np.floor(x.reshape(-1, x.shape[-1]).min(axis=0).astype(np.float64))
    return smallest


def _find_index_columns(
    model: keras.Model, input_shape: tuple[int, ...], smallest: Array
) -> Array | None:
    """Return what `find_index_columns` does, as far as numbers from `smallest` on show it."""
    probes = smallest + np.asarray(_PROBES)[:, np.newaxis]
    if not (np.diff(probes.astype(np.float32), axis=0) > 0).all():
        return None  # float32 has no fractions of such numbers
    rows = np.broadcast_to(
        probes.reshape(-1, *(1,) * (len(input_shape) - 1), len(smallest)),
        (len(_PROBES), *input_shape),
    )
    has_columns = len(input_shape) == 1 and input_shape[0] <= _MOST_COLUMNS
    try:
        if _is_index(model, rows.astype(np.float32)):
            return np.ones(1, bool)
        if not has_columns:
            return np.zeros(1, bool)
        columns = [_is_index(model, _column_rows(smallest, n)) for n in range(input_shape[0])]
        return np.array(columns)
    except Exception:
        return None


_PROBES = (0.0, 0.4, 1.0, 1.4, 2.0)


def _column_rows(smallest: Array, column: int) -> Array:
    """Return one input for each probe, in which only one feature is not the smallest number."""
    rows = np.tile(smallest.astype(np.float32), (len(_PROBES), 1))
    rows[:, column] += np.asarray(_PROBES, np.float32)
    return rows


def _is_index(model: keras.Model, rows: Array) -> bool:
    """Return whether rows with fractions give the outputs of the whole numbers below them."""
    # With other weights too: rectifiers may be flat between two numbers by chance.
    for seed in range(_DRAWS):
        with scaled_weights(model, 1.0, _NOISE, seed):
            if not _are_truncated(compute_outputs(model, rows)):
                return False
    return True


def _are_truncated(outputs: Array) -> bool:
    zero, below_one, one, below_two, two = outputs

    def distance(a: Array, b: Array) -> float:
        return float(np.abs(a - b).max())

    # Equal rows of a batch may be rounded differently.
    smallest_step = min(distance(zero, one), distance(one, two))
    truncated = max(distance(zero, below_one), distance(one, below_two))
    return bool(np.isfinite(smallest_step)) and truncated < 1e-3 * smallest_step
