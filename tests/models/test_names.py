"""Activations, optimizers and losses by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from models import activations, losses, optimizers
from models.errors import RequestError
from models.names import check_name

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


@pytest.mark.parametrize("name", [name for name in activations.ACTIVATIONS if name != activations.MAXOUT])
def test_an_activation_is_its_formula(name: str) -> None:
    np.testing.assert_allclose(np.asarray(activations.function(name)(np.float32(X))), EXPECTED[name], atol=1e-6)


@pytest.mark.parametrize("make", [activations.function, activations.layer])
def test_maxout_is_no_function_of_one_number(make: Callable[[str], Any]) -> None:
    with pytest.raises(
        RequestError, match=r"one number.*'maxout' is the larger of two weighted sums.*use one of identity"
    ):
        make("maxout")


def test_cross_entropy_is_taken_from_logits() -> None:
    logits = np.float32([[2.0, 1.0, -1.0]])
    expected = math.log(math.exp(2) + math.exp(1) + math.exp(-1)) - 1.0
    assert float(losses.loss("cross_entropy")(np.int32([1]), logits)) == pytest.approx(expected, rel=1e-6)


def first_step(optimizer: keras.optimizers.Optimizer) -> float:
    weight = keras.Variable(2.0)
    optimizer.apply([keras.ops.convert_to_tensor(4.0)], [weight])
    return float(weight) - 2.0


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("sgd", -0.1 * 4),
        ("momentum", -0.1 * 4),
        ("rmsprop", -0.1 / math.sqrt(0.1)),
        ("adam", -0.1),
        ("adamw", -0.1 - 0.1 * 0.004 * 2),
    ],
)
def test_the_first_step_is_the_one_computed_by_hand(name: str, step: float) -> None:
    assert first_step(optimizers.optimizer(name, 0.1)) == pytest.approx(step, rel=1e-4)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_weight_decay_is_apart_from_the_gradient(name: str) -> None:
    plain = first_step(optimizers.optimizer(name, 0.1, weight_decay=0.0))
    assert first_step(optimizers.optimizer(name, 0.1, weight_decay=0.5)) == pytest.approx(plain - 0.1 * 0.5 * 2)


@pytest.mark.parametrize(("momentum", "kept"), [(None, 0.9), (0.0, 0.0), (0.5, 0.5)])
def test_momentum_keeps_what_it_is_told(momentum: float | None, kept: float) -> None:
    assert optimizers.optimizer("momentum", 0.1, momentum).momentum == kept


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(RequestError, match=r"unknown optimizer 'adm': must be one of sgd, .* Did you mean 'adam'"):
        check_name("optimizer", "adm", optimizers.OPTIMIZERS)
