"""What networks compute, beside NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.experiments.lectures.topics.deep_or_wide import count_parameters
from assay.models.analysis.outputs import compute_outputs, weight_shapes


@pytest.mark.parametrize(("inputs", "layers", "units"), [(784, 1, 100), (12, 2, 5), (300, 4, 7)])
def test_parameters_are_those_of_the_formula(inputs: int, layers: int, units: int) -> None:
    settings = {"hidden_layers": layers, "hidden_units": units}
    shapes = weight_shapes("mlp", settings, (inputs,), 10)
    assert sum(map(math.prod, shapes)) == count_parameters(inputs, layers, units)


def test_outputs_are_those_of_the_weights() -> None:
    settings = {"hidden_layers": 2, "hidden_units": 5, "activation": "tanh"}
    random = np.random.default_rng(0)
    weights = [random.normal(size=shape) for shape in weight_shapes("mlp", settings, (3,), 2)]
    x = random.normal(size=(7, 3))
    expected = x
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        expected = np.tanh(expected @ kernel + bias)
    # The outputs are logits: without an activation.
    found = np.tanh(compute_outputs("mlp", settings, weights, x))
    assert found == pytest.approx(expected, abs=1e-5)
