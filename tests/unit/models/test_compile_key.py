"""Trials that may share compiled code have the same compile key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.models.worker.trial_spec import TrialSpec, compile_key
from tests.helpers.prepared_data import assign

SCHEDULED = {"schedule": "cosine", "final_fraction": 0.1}


def signed(folder: Path, decay_is_compiled: bool = True, **changes: Any) -> str:
    spec = assign(folder, changes.pop("family", "mlp"), **changes)
    return compile_key(TrialSpec.read(spec, "the trial"), decay_is_compiled=decay_is_compiled)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1}, {"seed": 2}),
        ({}, {"train": {"learning_rate": 0.5}}),
        ({}, {"train": {"epochs": 7}}),
        ({}, {"train": {"early_stopping": 1}}),
        (
            {"train": SCHEDULED},
            {"train": {"schedule": "step", "step_epochs": 0.5, "step_factor": 0.2}},
        ),
        ({"train": SCHEDULED}, {"train": {"warmup_epochs": 1.0}}),
        ({"train": {"flip": True, "shift": 2}}, {"train": {"shift": 2}}),
        ({"model": {}}, {"model": {"hidden_units": 100}}),
    ],
)
def test_settings_outside_the_compiled_epoch_do_not_change_the_key(
    folder: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert signed(folder, **one) == signed(folder, **other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"model": {"hidden_units": 101}}),
        ({}, {"model": {"dropout": 0.1}}),
        ({}, {"train": {"batch_size": 64}}),
        ({}, {"train": {"optimizer": "sgd"}}),
        ({}, {"train": {"beta_1": 0.5}}),
        ({}, {"train": {"clip_norm": 0.5}}),
        ({}, {"train": {"label_smoothing": 0.5}}),
        ({}, {"train": SCHEDULED}),
        ({"train": {"shift": 1}}, {"train": {"shift": 2}}),
        ({}, {"scale": "standard"}),
        ({}, {"family": "linear"}),
    ],
)
def test_compiled_settings_change_the_key(
    folder: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert signed(folder, **one) != signed(folder, **other)


def test_only_the_presence_of_an_uncompiled_weight_decay_changes_the_key(folder: Path) -> None:
    some, more, none = ({"train": {"weight_decay": decay}} for decay in (0.1, 0.2, None))
    assert signed(folder, **some) != signed(folder, **more)
    assert signed(folder, decay_is_compiled=False, **some) == signed(
        folder, decay_is_compiled=False, **more
    )
    assert signed(folder, decay_is_compiled=False, **some) != signed(
        folder, decay_is_compiled=False, **none
    )
    adamw = [{"train": {"optimizer": "adamw", "weight_decay": decay}} for decay in (None, 0.1)]
    assert len({signed(folder, decay_is_compiled=False, **one) for one in adamw}) == 1
