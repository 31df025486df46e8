"""Networks that are written down, products of networks, and fits by least squares."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.data.sources.toy_sets import absolute, sine
from assay.experiments.lectures.topics.universal_approximation import (
    FEATURES,
    fit_error,
    interpolant_error,
    interpolate_by_relu,
    polynomial_error,
    product_error,
    width_needed,
)


def test_relu_units_interpolate() -> None:
    knots = np.linspace(-1, 1, 11)
    assert interpolate_by_relu(sine, 10)(knots) == pytest.approx(sine(knots), abs=1e-12)
    x = np.linspace(-1, 1, 101)
    assert interpolate_by_relu(absolute, 2)(x) == pytest.approx(np.abs(x), abs=1e-15)


@pytest.mark.parametrize("units", [10, 100, 1_000])
def test_the_error_of_the_interpolant_is_below_its_bound(units: int) -> None:
    bound = (2 / units) ** 2 / 8 * 4 * np.pi**2
    error = np.abs(interpolant_error(units)).max()
    assert 0.5 * bound < error <= bound * (1 + 1e-9)


@pytest.mark.parametrize("unit", ["cos", "exp"])
def test_products_of_networks_are_networks(unit: str) -> None:
    assert product_error(unit) < 1e-13


@pytest.mark.parametrize("name", FEATURES)
def test_features_have_the_size_that_was_asked_for(name: str) -> None:
    assert FEATURES[name](7).shape == (4_001, 7)


def test_three_relu_features_are_the_absolute_value() -> None:
    assert fit_error(FEATURES["ReLU units"](3)) < 1e-12


def test_polynomials_through_equidistant_points_diverge() -> None:
    assert polynomial_error(equidistant=True) > 1e4
    assert polynomial_error(equidistant=False) < 1e-3


def test_two_inputs_need_more_units_than_one() -> None:
    assert width_needed(2) > width_needed(1)
