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


def find_index_columns(model: keras.Model, input_shape: tuple[int, ...]) -> Array | None:
    """Return which inputs a model uses as indices, such as those of an Embedding.

    An index is used as a whole number: 0 and 0.4 give the same outputs, 0, 1 and 2 do not.

    Args:
        model: built.
        input_shape: shape of one input.

    Returns:
        bool (features,), or one bool for all inputs if there are other axes or many features; None
        if the model can't be called on such numbers.
    """
    try:
        with scaled_weights(model, 1.0, _NOISE):
            if not _is_index(model, _constant_rows(input_shape)):
                if len(input_shape) != 1 or input_shape[0] > _MOST_COLUMNS:
                    return np.zeros(1, bool)
                columns = [
                    _is_index(model, _column_rows(input_shape[0], column))
                    for column in range(input_shape[0])
                ]
                return np.array(columns)
    except Exception:
        return None
    return np.ones(1, bool)


_PROBES = (0.0, 0.4, 1.0, 1.4, 2.0)


def _constant_rows(input_shape: tuple[int, ...]) -> Array:
    """Return one input for each probe, all of whose numbers are the probe."""
    return np.stack([np.full(input_shape, probe, np.float32) for probe in _PROBES])


def _column_rows(features: int, column: int) -> Array:
    """Return one input for each probe, which is the number of one feature; the others are 0."""
    rows = np.zeros((len(_PROBES), features), np.float32)
    rows[:, column] = _PROBES
    return rows


def _is_index(model: keras.Model, rows: Array) -> bool:
    zero, below_one, one, below_two, two = compute_outputs(model, rows)

    def distance(a: Array, b: Array) -> float:
        return float(np.abs(a - b).max())

    # Equal rows of a batch may be rounded differently.
    smallest_step = min(distance(zero, one), distance(one, two))
    truncated = max(distance(zero, below_one), distance(one, below_two))
    return bool(np.isfinite(smallest_step)) and truncated < 1e-3 * smallest_step
