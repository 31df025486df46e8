"""Scaling of extreme values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from assay.experiments.data.scaling import fit_scales
from assay.models.data import StoredScale

Array = np.ndarray[Any, Any]
NO_SPREAD = 1 / float(np.finfo(np.float32).max)
"""Dividing by less than this overflows float32."""

numbers = arrays(
    np.float32,
    st.one_of(
        array_shapes(min_dims=2, max_dims=2, max_side=300),
        array_shapes(min_dims=4, max_dims=4, max_side=6),
    ),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


def scaled(x: Array, scale: StoredScale) -> Array:
    return x.reshape(-1, x.shape[-1]).astype(np.float64) * scale.factor + scale.offset


@given(numbers)
def test_unit_scales_the_training_split_to_0_and_1(x: Array) -> None:
    result = scaled(x, fit_scales(x, largest_pixel=None)["unit"])
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6


@given(numbers)
def test_standard_scales_to_mean_0_and_variance_1(x: Array) -> None:
    result = scaled(x, fit_scales(x, largest_pixel=None)["standard"])
    deviation = x.reshape(-1, x.shape[-1]).astype(np.float64).std(axis=0)
    varied = deviation > 2 * NO_SPREAD
    equal = (x.reshape(-1, x.shape[-1]) == x.reshape(-1, x.shape[-1])[0]).all(axis=0)
    np.testing.assert_allclose(result.mean(axis=0)[varied | equal], 0, atol=1e-6)
    np.testing.assert_allclose(result.std(axis=0)[varied & ~equal], 1, atol=1e-6)
    assert np.all(result.std(axis=0)[equal] == 0)


@given(numbers)
def test_every_scale_is_finite_in_float32(x: Array) -> None:
    for scale in fit_scales(x, largest_pixel=None).values():
        with np.errstate(over="raise"):
            assert np.isfinite(np.array(scale.factor, np.float32)).all()
