"""Backpropagation in NumPy, against finite differences, forward mode and products by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.experiments.lectures.backpropagation import (
    ACTIVATIONS,
    Tally,
    make_problem,
    run_backward,
    run_forward,
)
from assay.experiments.lectures.topics.backprop_by_hand import (
    measure_chain,
    measure_deck,
    measure_differences,
    measure_forward_mode,
)
from assay.models.analysis.gradients import GradientProblem, Loss

LOSSES: dict[Loss, int] = {
    "output": 2,
    "squared_error": 2,
    "binary_cross_entropy": 1,
    "cross_entropy": 3,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_equal_finite_differences(activation: str, loss: Loss) -> None:
    problem = make_problem((3, 4, LOSSES[loss]), activation, loss, examples=5, seed=2)
    central, one_sided = measure_differences(problem)
    assert central.min() < 1e-8
    assert central.min() < one_sided.min()


def test_a_derivative_of_one_weight_is_as_computed_by_hand() -> None:
    one = np.array([[2.0]])
    problem = GradientProblem(
        [np.array([[0.5]]), np.array([0.0])], ["sigmoid"], "squared_error", one, np.array([[1.0]])
    )
    s = 1 / (1 + np.exp(-1.0))
    backward = run_backward(problem, run_forward(problem))
    assert backward.deltas[0].item() == pytest.approx(2 * (s - 1) * s * (1 - s), rel=1e-14)
    assert backward.gradients[0].item() == pytest.approx(2 * backward.deltas[0].item(), rel=1e-14)


def test_forward_mode_gives_the_same_derivatives_at_a_higher_cost() -> None:
    problem = make_problem(
        (2, 3, 3, 1), "sigmoid", "output", examples=1, seed=4, output_activation="sigmoid"
    )
    parameters, ratio, error = measure_forward_mode(problem)
    assert parameters == 25
    assert ratio > parameters / 3
    assert error < 1e-13


def test_a_chain_is_a_product_and_the_deck_has_its_numbers() -> None:
    chain = make_problem(
        (1, 1, 1, 1), "tanh", "output", examples=1, seed=3, output_activation="sigmoid"
    )
    assert measure_chain(chain) < 1e-14
    assert measure_deck() <= 0.005


def test_a_weight_is_multiplied_three_times_but_in_the_first_layer() -> None:
    problem = make_problem((2, 3, 4), "relu", "squared_error", examples=5, seed=0)
    tally = Tally()
    run_backward(problem, run_forward(problem, tally), tally)
    assert tally.multiplications == 5 * (2 * (2 * 3) + 3 * (3 * 4))


def test_losses_stay_finite_for_large_logits() -> None:
    for loss in ("binary_cross_entropy", "cross_entropy"):
        problem = make_problem((2, 1), "linear", loss, examples=3, seed=0)
        large = replace(problem, weights=[1e6 * weight for weight in problem.weights])
        forward = run_forward(large)
        assert np.isfinite(forward.loss)
        assert np.isfinite(run_backward(large, forward).gradients[0]).all()
