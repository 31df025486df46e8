"""Gradients of Keras in a process of their own, on each installed backend."""

from __future__ import annotations

import numpy as np
import pytest

from assay.models.analysis.gradients import GradientProblem, compute_gradients, installed_backends
from assay.models.errors import WorkerBug


@pytest.mark.parametrize("backend", installed_backends())
def test_a_backend_differentiates_in_double_precision(backend: str) -> None:
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.5], [0.25]])
    kernel, bias = np.array([[0.1], [0.2]]), np.array([0.3])
    problem = GradientProblem([kernel, bias], ["linear"], "squared_error", x, y)
    ((by_kernel, by_bias),) = compute_gradients([problem], backend)
    error = x @ kernel + bias - y
    np.testing.assert_allclose(by_kernel, x.T @ error, rtol=1e-13)
    np.testing.assert_allclose(by_bias, error.sum(axis=0), rtol=1e-13)


def test_a_process_that_fails_is_reported() -> None:
    problem = GradientProblem(
        [], ["no such activation"], "output", np.ones((1, 1)), np.ones((1, 1))
    )
    with pytest.raises(WorkerBug, match="gradients ended with exit code 1"):
        compute_gradients([problem], installed_backends()[0])
