"""Scaling of extreme values, and of bytes that do not fill their range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from assay.experiments.data import DataSettings
from assay.experiments.data.scaling import find_scaled_ranges, fit_scales
from assay.models.data import StoredScale
from tests.helpers.own_data import prepare_arrays, prepare_here, scaled_inputs
from tests.helpers.small_sets import make_arrays, make_tree

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


@given(numbers)
def test_scaled_ranges_are_those_of_the_scaled_numbers(x: Array) -> None:
    scales = fit_scales(x, largest_pixel=None)
    for name, found in find_scaled_ranges(x, scales).items():
        result = scaled(x, scales[name])
        np.testing.assert_allclose(found, (result.min(), result.max()), rtol=1e-9)


@pytest.mark.parametrize(
    ("largest", "divisor"), [(1, 1), (2, 2), (16, 16), (127, 127), (128, 255), (255, 255), (0, 255)]
)
@pytest.mark.parametrize("channels", [None, 3])
def test_bytes_that_do_not_fill_their_range_are_scaled_by_their_largest_number(
    largest: int, divisor: int, channels: int | None, tmp_path: Path
) -> None:
    shape = (60, 8, 8) if channels is None else (60, 8, 8, channels)
    x = np.random.default_rng(0).integers(0, largest, shape, endpoint=True).astype(np.uint8)
    y = np.arange(60) % 2
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    data = prepare_arrays(arrays, tmp_path)
    assert set(data.scales["unit"].factor) == {1 / divisor}
    assert np.load(data.folder / "x_train.npy").dtype == np.uint8
    assert scaled_inputs(data)["train"].max() == pytest.approx(largest / divisor)
    assert data.scaled_ranges["unit"] == (0, pytest.approx(largest / divisor))
    assert (data.input_type, data.input_range) == ("uint8", (0, largest))
    changed = "uint8 images divided by"
    if divisor == 255:
        assert data.find_changed_numbers("unit") == {}
    else:
        assert data.find_changed_numbers("unit") == {
            "unit scale": f"{changed} {divisor} in place of 255"
        }
    assert data.find_changed_numbers("standard") == data.find_changed_numbers("none") == {}


def test_bytes_are_scaled_as_the_same_numbers_in_float32(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (60, 8, 8))
    seen = []
    for kind in ("uint8", "float32"):
        (tmp_path / kind).mkdir()
        y = np.arange(60) % 2
        arrays = {"x_train": x.astype(kind), "y_train": y, "x_test": x.astype(kind), "y_test": y}
        seen.append(scaled_inputs(prepare_arrays(arrays, tmp_path / kind))["train"])
    assert np.array_equal(*seen)


def test_dark_image_files_are_scaled_by_their_largest_number(tmp_path: Path) -> None:
    arrays = make_arrays(30, 6)
    dark = arrays | {name: arrays[name] // 64 for name in ("x_train", "x_test")}
    make_tree(tmp_path / "pets", dark, ("ant", "bird", "cat"))
    data = prepare_here(DataSettings(name="folder:pets"), tmp_path)
    assert set(data.scales["unit"].factor) == {1 / 3}


def test_published_images_keep_their_range(tmp_path: Path) -> None:
    arrays = make_arrays()
    np.savez(tmp_path / "mnist.npz", **arrays | {"x_train": arrays["x_train"] // 4})
    data = prepare_here(DataSettings(name="mnist"), tmp_path)
    assert set(data.scales["unit"].factor) == {1 / 255}
    assert data.changed_numbers == {}
