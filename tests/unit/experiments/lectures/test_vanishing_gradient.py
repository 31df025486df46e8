"""Factors per layer and flat shares, against what can be worked out on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.experiments.lectures.topics.vanishing_gradient import (
    Start,
    gradient_norms,
    layer_factor,
    saturated_share,
)


def test_the_factor_is_that_of_one_layer() -> None:
    assert layer_factor(np.array([1.0, 4.0, 16.0])) == pytest.approx(0.25)


@pytest.mark.parametrize("gain", [0.5, 1, 2])
def test_the_gradient_of_linear_units_is_multiplied_by_the_gain(gain: float) -> None:
    # Equal widths and variance 1 / width: each layer multiplies the expected square by gain^2.
    start = Start("identity", "lecun", gain, "black")
    factors = [layer_factor(gradient_norms(start, 6, seed)) for seed in range(20)]
    assert np.mean(factors) == pytest.approx(gain, rel=0.05)


def test_the_factor_of_sigmoid_units_is_below_a_quarter() -> None:
    start = Start("sigmoid", "glorot", 1, "black")
    assert 0.2 < layer_factor(gradient_norms(start, 10, 0)) < 0.25


@pytest.mark.parametrize("gain", [2.0, 10.0])
def test_flat_units_are_those_beyond_the_edge(gain: float) -> None:
    # s (1 - s) = 1/40 at the edge, where s is the sigmoid.
    s = (1 + math.sqrt(0.9)) / 2
    beyond = math.erfc(math.log(s / (1 - s)) / gain / math.sqrt(2))
    assert np.mean([saturated_share(gain, seed) for seed in range(12)]) == pytest.approx(
        beyond, rel=0.05
    )
