"""The steps of the smallest perceptrons, against what can be worked out on paper."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from assay.experiments.lectures.topics.perceptron import (
    POINTS,
    apply_perceptron_rule,
    bound_updates,
    fit_weight,
    follow_weight,
    follow_weights,
    make_separable,
)

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_the_printed_step_repeats_itself_for_ever() -> None:
    path = [float(weight) for weight in follow_weight(POINTS, Fraction(1), 4)]
    assert path[:4] == [101.0, -299.2, 3377.9, 1.1]
    assert path[4:8] == path[8:12] == path[12:] == [-7.9, 27.5, -297.475, 1.1]


def test_a_small_rate_leads_to_least_squares() -> None:
    best = fit_weight(POINTS)
    assert float(best) == pytest.approx(117.8 / 117.25, abs=1e-12)
    far, near = (
        max(abs(weight - best) for weight in follow_weight(POINTS, Fraction(1, rate), 100)[-4:])
        for rate in (100, 1_000)
    )
    assert near < far / 5 < 0.002


def test_two_weights_follow_the_gradient() -> None:
    x, y = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([3.0, 1.0])
    path = follow_weights(x, y, 0.1, 1)
    np.testing.assert_allclose(path, [[0, 0], [0.3, 0.6], [0.3, 0.64]])
    np.testing.assert_allclose(follow_weights(x, y, 0.1, 2_000)[-1], [1, 1], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_perceptron_rule_settles_within_its_bound(seed: int) -> None:
    x, y, line = make_separable(seed)
    run = apply_perceptron_rule(x, y, 1_000)
    assert run.settled
    assert 0 < sum(run.errors) == len(run.weights) - 1 <= bound_updates(x, y, line)
    assert (y * (run.weights[-1][0] + x @ run.weights[-1][1:]) > 0).all()


def test_the_bound_of_two_points_is_worked_out() -> None:
    x, y = np.array([[1.0], [-1.0]]), np.array([1.0, -1.0])
    assert bound_updates(x, y, np.array([0.0, 5.0])) == pytest.approx(2)


@pytest.mark.parametrize("labels", [[-1, 1, 1, -1], [1, -1, -1, 1]])
def test_the_perceptron_rule_repeats_itself_on_xor(labels: list[int]) -> None:
    run = apply_perceptron_rule(XOR, np.array(labels, float), 200)
    assert not run.settled
    assert min(run.errors) >= 1
    assert run.repeat is not None


def test_the_perceptron_rule_learns_and() -> None:
    run = apply_perceptron_rule(XOR, np.array([-1.0, -1, -1, 1]), 100)
    assert run.settled
    assert run.repeat is None
