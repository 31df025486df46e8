"""Activations and optimizers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from assay.models.architectures import activations
from assay.models.errors import RequestError

X = [-2.0, 0.0, 1.5]
EXPECTED = {
    "identity": X,
    "sigmoid": [1 / (1 + math.exp(-x)) for x in X],
    "tanh": [math.tanh(x) for x in X],
    "relu": [0.0, 0.0, 1.5],
    "leaky_relu": [-0.2, 0.0, 1.5],
    "elu": [math.exp(-2) - 1, 0.0, 1.5],
    "gelu": [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in X],
    "heaviside": [0.0, 1.0, 1.0],
}


@pytest.mark.parametrize(
    "name", [name for name in activations.ACTIVATIONS if name != activations.MAXOUT]
)
def test_an_activation_computes_its_formula(name: str) -> None:
    np.testing.assert_allclose(
        np.asarray(activations.activation_function(name)(np.float32(X))), EXPECTED[name], atol=1e-6
    )


@pytest.mark.parametrize("make", [activations.activation_function, activations.activation_layer])
def test_maxout_is_not_an_elementwise_function(make: Callable[[str], Any]) -> None:
    with pytest.raises(
        RequestError,
        match=r"one number.*'maxout' is the larger of two weighted sums.*use one of id",
    ):
        make("maxout")
