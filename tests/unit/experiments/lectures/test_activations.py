"""Activations, their derivatives, and the NumPy networks that step units are trained in."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.lectures.topics.activations import (
    derivative_error,
    identity_error,
    steep_distance,
)
from assay.experiments.lectures.two_layers import UNITS, TwoLayers, sigmoid, train_by_adam


def test_tanh_is_a_stretched_sigmoid() -> None:
    assert identity_error() < 1e-15
    assert sigmoid(np.array([0.0, np.log(3), -np.log(3)])) == pytest.approx([0.5, 0.75, 0.25])
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0, 1]


def test_derivatives_are_those_of_the_functions() -> None:
    assert derivative_error() < 1e-9
    assert UNITS["sigmoid"].derivative(np.zeros(1)) == 0.25
    assert UNITS["tanh"].derivative(np.zeros(1)) == 1


def test_steep_sigmoid_units_are_nearly_step_units() -> None:
    assert steep_distance() == pytest.approx(1 / (1 + np.exp(10)), rel=1e-6)


@pytest.mark.parametrize("unit", [name for name in UNITS if name != "step"])
def test_backpropagation_gives_the_slope_of_the_loss(unit: str) -> None:
    random = np.random.default_rng(0)
    networks = TwoLayers.draw(unit, 2, 3, 2, random)
    x, y = random.standard_normal((7, 2)), np.array([0.0, 1, 1, 0, 1, 0, 0])
    for place, gradient in enumerate(networks.compute_gradients(x, y)):
        for index in np.ndindex(*gradient.shape[1:]):
            ends = []
            for h in (1e-6, -1e-6):
                arrays = [array.copy() for array in networks.arrays]
                arrays[place][:, *index] += h
                ends.append(networks.with_arrays(arrays).compute_loss(x, y))
            assert gradient[:, *index] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_adam_moves_sigmoid_units_and_no_step_unit() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (200, 2))
    y = (x.sum(axis=1) > 0).astype(np.float64)
    for unit, moves in (("step", False), ("sigmoid", True)):
        start = TwoLayers.draw(unit, 2, 4, 3, np.random.default_rng(1))
        trained = train_by_adam(start, x, y, epochs=50, random=random, keep=[10])
        assert list(trained.networks) == [0, 10, 50]
        assert trained.loss.shape == (3, 50)
        assert (trained.last.kernel != start.kernel).any() == moves
        assert (trained.loss[:, -1] < trained.loss[:, 0]).all()


def test_the_first_step_of_adam_is_the_learning_rate() -> None:
    start = TwoLayers.draw("sigmoid", 2, 4, 1, np.random.default_rng(1))
    x, y = np.array([[1.0, -1.0]]), np.array([1.0])
    after = train_by_adam(start, x, y, epochs=1, random=np.random.default_rng(0)).last
    assert after.output_bias - start.output_bias == pytest.approx(0.01, rel=1e-6)
