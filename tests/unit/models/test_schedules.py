"""Learning rate of every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.models.errors import RequestError
from assay.models.training.config import SCHEDULES, TrainSettings
from assay.models.training.schedules import learning_rates


def fractions(steps_per_epoch: int, **train: Any) -> np.ndarray:
    return learning_rates(TrainSettings(learning_rate=0.5, **train), steps_per_epoch) / 0.5


@pytest.mark.parametrize(
    ("train", "steps_per_epoch", "expected"),
    [
        ({"epochs": 2}, 3, [1, 1, 1, 1, 1, 1]),
        ({"epochs": 2, "warmup_epochs": 1}, 4, [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1, 1]),
        ({"epochs": 1, "warmup_epochs": 0.5}, 5, [1 / 2.5, 2 / 2.5, 1, 1, 1]),
        ({"epochs": 1, "warmup_epochs": 1}, 2, [1 / 2, 1]),
        ({"epochs": 3, "schedule": "step"}, 2, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"epochs": 3, "schedule": "step", "step_epochs": 2, "step_factor": 0.5}, 2,
         [1, 1, 1, 1, 0.5, 0.5]),
        ({"epochs": 2, "schedule": "step", "step_epochs": 0.5}, 2, [1, 0.1, 0.01, 0.001]),
        ({"epochs": 2, "schedule": "step", "warmup_epochs": 1, "step_epochs": 1}, 2,
         [1 / 2, 1, 0.1, 0.1]),
        ({"epochs": 4, "schedule": "cosine"}, 1, [1, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2]),
        ({"epochs": 2, "schedule": "cosine", "final_fraction": 0.2}, 1, [1, 0.6]),
        ({"epochs": 3, "schedule": "cosine", "warmup_epochs": 1}, 1, [1, 1, 0.5]),
        ({"epochs": 2, "schedule": "cosine", "warmup_epochs": 1}, 2, [0.5, 1, 1, 0.5]),
        ({"epochs": 1, "schedule": "cosine", "warmup_epochs": 1}, 2, [0.5, 1]),
    ],
)  # fmt: skip
def test_every_step_has_the_rate_computed_by_hand(
    train: dict[str, Any], steps_per_epoch: int, expected: list[float]
) -> None:
    np.testing.assert_allclose(fractions(steps_per_epoch, **train), expected, rtol=1e-6)


def test_rates_are_scalars() -> None:
    found = learning_rates(TrainSettings(epochs=7, schedule="cosine"), 13)
    assert (found.dtype, found.shape) == (np.float32, (7 * 13,))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("name", "value"), [("step_epochs", 2.0), ("step_factor", 0.5), ("final_fraction", 0.5)]
)
def test_a_setting_is_refused_with_another_schedule(schedule: str, name: str, value: float) -> None:
    table = {"schedule": schedule, name: value}
    if name in SCHEDULES[schedule]:
        assert getattr(TrainSettings.read(table, "[train]"), name) == value
    else:
        with pytest.raises(
            RequestError, match=rf"{name} = {value} with schedule = '{schedule}'; remove one"
        ):
            TrainSettings.read(table, "[train]")


def test_a_warmup_longer_than_the_training_is_refused() -> None:
    with pytest.raises(
        RequestError, match=r"received warmup_epochs = 2.5 with epochs = 2; shorten"
    ):
        TrainSettings.read({"epochs": 2, "warmup_epochs": 2.5}, "[train]")
