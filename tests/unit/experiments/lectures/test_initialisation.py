"""Herds, variances and steps of gradient descent, against what can be worked out."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.lectures.topics.initialisation import (
    activation_squares,
    count_steps,
    decorrelate,
    descend,
    equal_layers,
    excess_errors,
    small_layers,
    standardize,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((300, 3)) @ np.array([[1, 0.9, 0], [0, 0.5, 0.4], [0, 0, 3.0]]) + 2
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + RANDOM.standard_normal((300, 1))


def test_equal_units_stay_equal_and_random_ones_part() -> None:
    equal, small = descend(equal_layers(0.1, 0.1)), descend(small_layers(0))
    assert equal.spread.max() < 1e-12
    assert np.abs(equal.kernels[-1] - equal.kernels[0]).max() > 0.01  # the herd moves
    assert small.spread[-1] > small.spread[0]
    assert small.accuracy > equal.accuracy


def test_zero_weights_do_not_move() -> None:
    assert not descend(equal_layers(0, 0), 10).kernels.any()


def test_the_ratio_is_that_of_update_and_weight() -> None:
    found = descend(small_layers(1), 3, rate=0.5)
    steps = np.linalg.norm(np.diff(found.kernels, axis=0), axis=(1, 2))
    np.testing.assert_allclose(
        found.ratios, steps / np.linalg.norm(found.kernels[:-1], axis=(1, 2))
    )


@pytest.mark.parametrize(("scheme", "factor"), [("he", 1.0), ("lecun", 0.5)])
def test_relu_layers_halve_the_mean_square_or_keep_it(scheme: str, factor: float) -> None:
    found = [activation_squares("relu", scheme, seed) for seed in range(4)]
    factors = [(one[-1] / one[0]) ** (1 / (len(one) - 1)) for one in found]
    assert np.mean(factors) == pytest.approx(factor, rel=0.05)


def test_prepared_inputs_have_the_moments_that_they_should() -> None:
    for prepared in (standardize(X), decorrelate(X)):
        np.testing.assert_allclose(prepared.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(prepared.var(axis=0), 1)
    np.testing.assert_allclose(np.cov(decorrelate(X).T, bias=True), np.eye(3), atol=1e-10)


def test_excess_errors_are_those_of_gradient_descent() -> None:
    inputs = np.column_stack([np.ones(len(X)), X])
    hessian = inputs.T @ inputs / len(X)
    rate = 1 / np.linalg.eigvalsh(hessian).max()
    least = np.linalg.lstsq(inputs, Y, rcond=None)[0]
    weights = np.zeros((4, 1))

    def error(weights: np.ndarray) -> float:
        return float(np.square(inputs @ weights - Y).mean())

    start = error(weights) - error(least)
    for _ in range(7):
        weights = weights - rate * inputs.T @ (inputs @ weights - Y) / len(X)
    assert excess_errors(X, Y, [7])[0] == pytest.approx((error(weights) - error(least)) / start)
    steps = count_steps(X, Y, 0.01)
    before, after = excess_errors(X, Y, [steps - 1, steps])
    assert after <= 0.01 < before


def test_decorrelated_inputs_need_one_step() -> None:
    assert count_steps(decorrelate(X), Y) == 1
