"""Descent on a bowl, rates that work, and units that are alike."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.lectures.topics.learning_rate import (
    count_decades,
    descend,
    largest_rate,
    share_alike,
)
from assay.experiments.lectures.two_layers import TwoLayers


def test_a_path_is_that_of_gradient_descent() -> None:
    path = descend(0.1, [1.0, 10.0], [-4.0, 1.5], 3)
    weights = np.array([-4.0, 1.5])
    for place in path:
        assert place == pytest.approx(weights)
        weights = weights - 0.1 * np.array([1.0, 10.0]) * weights


@pytest.mark.parametrize("curvature", [1.0, 10.0])
def test_descent_converges_up_to_two_over_the_curvature(curvature: float) -> None:
    assert largest_rate(curvature) * curvature == pytest.approx(2, abs=1e-9)


def test_decades_are_counted_for_each_seed() -> None:
    accuracies = np.array([[0.1, 0.1], [0.96, 0.9], [0.95, 0.97], [0.2, 0.94]])
    assert count_decades(accuracies, best=0.97, step=0.5).tolist() == [1.0, 1.0]
    assert count_decades(accuracies, best=1.1, step=0.5).tolist() == [0.0, 0.0]


def test_units_of_one_line_are_alike() -> None:
    kernel = np.array([[[1.0, -2.0, 0.0], [0.0, 0.0, 1.0]]])
    networks = TwoLayers(
        kernel, np.zeros((1, 1, 3)), np.ones((1, 3, 1)), np.zeros((1, 1, 1)), "sigmoid"
    )
    assert share_alike(networks).tolist() == [pytest.approx(1 / 3)]
