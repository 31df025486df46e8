"""Gradients, orders and variances, against what can be worked out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assay.experiments.lectures.topics.sgd_family import (
    Order,
    Problem,
    choose_batches,
    descend,
    find_minimum,
    load_problem,
    measure_variance,
    predict_variance,
)

RANDOM = np.random.default_rng(0)
PROBLEM = Problem(RANDOM.standard_normal((12, 3)), np.eye(2)[np.arange(12) % 2])


def test_the_gradient_is_that_of_finite_differences() -> None:
    weights = RANDOM.standard_normal((3, 2))
    gradient = PROBLEM.gradient(weights, slice(None))
    for place in np.ndindex(weights.shape):
        step = np.zeros((3, 2))
        step[place] = 1e-6
        slope = (PROBLEM.loss(weights + step) - PROBLEM.loss(weights - step)) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("replace", [True, False])
def test_the_variance_is_that_of_all_batches(replace: bool) -> None:
    values = np.array([[1.0], [2.0], [4.0], [9.0]])
    batches = (
        itertools.product(range(4), repeat=2) if replace else itertools.permutations(range(4), 2)
    )
    means = [values[list(batch)].mean() for batch in batches]
    expected = np.var(means) / values.var()
    assert predict_variance(4, 2, replace) == pytest.approx(expected)
    assert measure_variance(values, 2, replace, 4_000, 0) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("order", ["cyclic", "reshuffled", "fixed"])
def test_an_epoch_has_each_example_once(order: Order) -> None:
    batches = np.array(list(choose_batches(order, 12, 4, 2, np.random.default_rng(1))))
    first, second = batches[:3], batches[3:]
    assert sorted(first.ravel()) == sorted(second.ravel()) == list(range(12))
    assert (first == second).all() == (order != "reshuffled")


def test_the_full_gradient_never_raises_the_loss() -> None:
    batches = choose_batches("fixed", 12, 12, 50, np.random.default_rng(0))
    losses = descend(PROBLEM, batches, PROBLEM.safe_rate, 1)
    assert len(losses) == 51
    assert (np.diff(losses) <= 0).all()
    minimum = find_minimum(PROBLEM)
    np.testing.assert_allclose(PROBLEM.gradient(minimum, slice(None)), 0, atol=1e-10)


def test_examples_are_sorted_by_class() -> None:
    classes = load_problem(64).sort().y.argmax(axis=1)
    assert (np.diff(classes) >= 0).all()
