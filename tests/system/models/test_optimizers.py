"""Optimizers compute their formulas, on any backend."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.errors import RequestError
from assay.models.training.config import OPTIMIZERS, TrainSettings
from assay.models.training.optimizers import create_optimizer

PARAMETERS: dict[str, Any] = {
    "momentum": 0.5, "nesterov": True, "rho": 0.5, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 0.5
}  # fmt: skip


def steps(*gradients: float, **train: Any) -> list[float]:
    """Return the steps of a weight of 2 for these gradients, at a learning rate of 0.1."""
    chosen, weight, store_paths = (
        create_optimizer(TrainSettings(learning_rate=0.1, **train)),
        keras.Variable(2.0),
        [2.0],
    )
    for gradient in gradients:
        chosen.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        store_paths.append(float(weight))
    return list(np.diff(store_paths))


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"optimizer": "sgd"}, [-0.4, -0.2]),
        ({"optimizer": "momentum"}, [-0.4, -0.9 * 0.4 - 0.2]),
        ({"optimizer": "momentum", "momentum": 0.5}, [-0.4, -0.5 * 0.4 - 0.2]),
        ({"optimizer": "momentum", "momentum": 0.0}, [-0.4, -0.2]),
        # Nesterov: the velocity v = momentum * v - rate * g, then the step momentum * v - rate * g.
        (
            {"optimizer": "momentum", "momentum": 0.5, "nesterov": True},
            [0.5 * -0.4 - 0.4, 0.5 * (0.5 * -0.4 - 0.2) - 0.2],
        ),
        (
            {"optimizer": "rmsprop"},
            [-0.1 * 4 / math.sqrt(1.6), -0.1 * 2 / math.sqrt(0.9 * 1.6 + 0.4)],
        ),
        ({"optimizer": "rmsprop", "rho": 0.5}, [-0.1 * 4 / math.sqrt(8), -0.1 * 2 / math.sqrt(6)]),
        ({"optimizer": "rmsprop", "epsilon": 2.4}, [-0.1 * 4 / math.sqrt(1.6 + 2.4)]),
        (
            {"optimizer": "adam"},
            [-0.1, -0.1 * (0.9 * 4 + 2) / 1.9 / math.sqrt((0.999 * 16 + 4) / 1.999)],
        ),
        (
            {"optimizer": "adam", "beta_1": 0.5},
            [-0.1, -0.1 * (0.5 * 4 + 2) / 1.5 / math.sqrt(19.984 / 1.999)],
        ),
        (
            {"optimizer": "adam", "beta_2": 0.5},
            [-0.1, -0.1 * (5.6 / 1.9) / math.sqrt((0.5 * 16 + 4) / 1.5)],
        ),
        # Keras adds epsilon to the root before the bias correction (Kingma and Ba 2015, section 2).
        (
            {"optimizer": "adam", "epsilon": 1.0},
            [-0.1 * math.sqrt(0.001) / 0.1 * 0.4 / (math.sqrt(0.016) + 1)],
        ),
        ({"optimizer": "adamw"}, [-0.1 - 0.1 * 0.004 * 2]),
        ({"optimizer": "adamw", "weight_decay": 0.0}, [-0.1]),
        ({"optimizer": "sgd", "clip_norm": 1.0}, [-0.1, -0.1]),
        ({"optimizer": "sgd", "clip_norm": 3.0}, [-0.3, -0.2]),
        ({"optimizer": "sgd", "clip_value": 3.0}, [-0.3, -0.2]),
    ],
)
def test_steps_equal_those_computed_by_hand(train: dict[str, Any], expected: list[float]) -> None:
    assert steps(4.0, 2.0, **train)[: len(expected)] == pytest.approx(expected, rel=1e-4)


def test_clipping_uses_the_global_norm() -> None:
    chosen = create_optimizer(TrainSettings(optimizer="sgd", learning_rate=1.0, clip_norm=1.0))
    weights = [keras.Variable([0.0, 0.0]), keras.Variable(0.0)]
    chosen.apply(
        [keras.ops.convert_to_tensor([2.0, 4.0]), keras.ops.convert_to_tensor(4.0)], weights
    )
    np.testing.assert_allclose(np.asarray(weights[0].value), [-2 / 6, -4 / 6], rtol=1e-5)
    assert float(weights[1]) == pytest.approx(-4 / 6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_decoupled_from_the_gradient(name: str) -> None:
    (plain,), (decayed,) = (steps(4.0, optimizer=name, weight_decay=decay) for decay in (0.0, 0.5))
    assert decayed == pytest.approx(plain - 0.1 * 0.5 * 2, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_setting_is_refused_with_other_optimizers(name: str, parameter: str) -> None:
    table = {"optimizer": name, parameter: PARAMETERS[parameter]}
    if parameter in OPTIMIZERS[name]:
        assert (
            getattr(create_optimizer(TrainSettings.read(table, "[train]")), parameter)
            == PARAMETERS[parameter]
        )
    else:
        owners = [other for other, own in OPTIMIZERS.items() if parameter in own]
        with pytest.raises(
            RequestError, match=rf"optimizer = '{name}'; remove one or change the other"
        ) as caught:
            TrainSettings.read(table, "[train]")
        assert all(owner in str(caught.value) for owner in owners)
