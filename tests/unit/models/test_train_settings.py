"""Settings of the [train] table."""

from __future__ import annotations

from typing import Any

import pytest

from assay.models.errors import RequestError
from assay.models.training.config import TrainSettings


@pytest.mark.parametrize(
    "table",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"batch_size": 32.0},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"learning_rate": float("inf")},
        {"learning_rate": float("nan")},
        {"optimizer": "SGD"},
        {"loss": "mse"},
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
        {"optimizer": "momentum", "momentum": 1.0},
        {"weight_decay": -0.1},
        {"optimizer": "momentum", "nesterov": 1},
        {"optimizer": "rmsprop", "rho": 1.0},
        {"optimizer": "rmsprop", "rho": -0.1},
        {"optimizer": "adam", "beta_1": 1.0},
        {"optimizer": "adamw", "beta_2": -0.1},
        {"optimizer": "adam", "epsilon": 0.0},
        {"optimizer": "adam", "epsilon": float("inf")},
        {"schedule": "cos"},
        {"warmup_epochs": -0.5},
        {"warmup_epochs": float("inf")},
        {"schedule": "step", "step_epochs": 0.0},
        {"schedule": "step", "step_factor": 0.0},
        {"schedule": "step", "step_factor": 1.0},
        {"schedule": "cosine", "final_fraction": -0.1},
        {"schedule": "cosine", "final_fraction": 1.0},
        {"flip": 1},
        {"flip": "yes"},
        {"shift": -1},
        {"shift": 1.5},
        {"early_stopping": 0},
        {"early_stopping": 1.5},
        {"clip_norm": 0.0},
        {"clip_norm": float("nan")},
        {"clip_value": -1.0},
    ],
)
def test_an_invalid_value_is_refused_and_shown(table: dict[str, Any]) -> None:
    name, value = list(table.items())[-1]
    with pytest.raises(RequestError) as caught:
        TrainSettings.read(table, "[train]")
    assert str(caught.value).startswith(f"[train] {name}: ")
    assert repr(value) in str(caught.value)


def test_an_integer_is_accepted_as_a_float() -> None:
    assert TrainSettings.read({"learning_rate": 1}, "[train]").learning_rate == 1.0


def test_every_setting_is_described() -> None:
    assert all(field.description for field in TrainSettings.model_fields.values())


def test_settings_survive_being_written_and_read() -> None:
    settings = TrainSettings(optimizer="momentum", momentum=0.5, weight_decay=0.1)
    assert TrainSettings.read(settings.model_dump(), "[train]") == settings
