"""Dense networks in NumPy, against finite differences and the variances of the papers."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.lectures.dense_network import (
    ACTIVATIONS,
    VARIANCES,
    backpropagate,
    initialize,
    propagate,
)

STEP = 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(activation: str) -> None:
    random = np.random.default_rng(1)
    layers = initialize([3, 4, 5, 3], "he", random)
    layers = [(kernel, random.normal(0, 0.3, len(bias))) for kernel, bias in layers]
    x, labels = random.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])
    found = backpropagate(layers, activation, x, labels)
    for layer, gradients in zip(layers, found.gradients, strict=True):
        for weights, gradient in zip(layer, gradients, strict=True):
            assert gradient.shape == weights.shape
            for place in np.ndindex(weights.shape):
                losses = []
                for step in (STEP, -2 * STEP):
                    weights[place] += step
                    losses.append(backpropagate(layers, activation, x, labels).loss)
                weights[place] += STEP
                slope = (losses[0] - losses[1]) / (2 * STEP)
                assert gradient[place] == pytest.approx(slope, abs=1e-8)


def test_the_loss_without_weights_is_that_of_chance() -> None:
    layers = [(np.zeros((4, 3)), np.zeros(3)), (np.zeros((3, 10)), np.zeros(10))]
    found = backpropagate(layers, "tanh", np.ones((5, 4)), np.zeros(5, np.int64))
    assert found.loss == pytest.approx(np.log(10))


def test_a_forward_pass_is_worked_out() -> None:
    layers = [
        (np.array([[1.0, -1.0]]), np.array([0.0, 1.0])),
        (np.array([[2.0], [3.0]]), np.array([0.5])),
    ]
    forward = propagate(layers, "relu", np.array([[2.0]]))
    assert [one.tolist() for one in forward.sums] == [[[2.0, -1.0]], [[4.5]]]
    assert [one.tolist() for one in forward.inputs] == [[[2.0]], [[2.0, 0.0]]]


@pytest.mark.parametrize(
    ("scheme", "variance"), [("lecun", 1 / 400), ("glorot", 2 / 600), ("he", 2 / 400)]
)
def test_initial_weights_have_the_variance_of_their_paper(scheme: str, variance: float) -> None:
    assert VARIANCES[scheme](400, 200) == pytest.approx(variance)
    ((kernel, bias),) = initialize([400, 200], scheme, np.random.default_rng(0), gain=3)
    assert kernel.var() == pytest.approx(9 * variance, rel=0.02)
    assert not bias.any()
