"""Names of single runs in MLflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.config.experiment import parse_experiment
from assay.experiments.config.request import RepeatedTraining, RunRequest, load_experiment
from assay.experiments.run.single import name_run

STAMP = r" \d{8}-\d{6}$"


def name_of(values: dict[str, Any], epochs: int | None = None, seed: int = 0) -> str:
    experiment = load_experiment("digits-mlp", values, epochs)
    return name_run(experiment, RunRequest(seed), 1e9)


@pytest.mark.parametrize(
    ("values", "epochs", "expected"),
    [
        ({}, None, ""),
        ({"hidden_units": 64}, None, " hidden_units=64"),
        ({"data.validation": 100, "optimizer": "sgd"}, 3, " data.validation=100 optimizer=sgd "),
        ({"epochs": 3}, None, " epochs=3"),
        ({}, load_experiment("digits-mlp").largest_value("epochs"), ""),
    ],
)
def test_a_name_says_what_differs_from_the_experiment(
    values: dict[str, Any], epochs: int | None, expected: str
) -> None:
    extra = "epochs=3" if epochs == 3 else ""
    assert re.fullmatch(rf"digits-mlp{re.escape(expected + extra)}{STAMP}", name_of(values, epochs))


def test_a_name_has_another_seed_and_what_it_repeats() -> None:
    assert " seed=3 " in name_of({}, seed=3)
    repeated = RepeatedTraining(f"like {'a' * 32}", tags={})
    request = RunRequest(repeated=repeated)
    named = name_run(load_experiment("digits-mlp", {"hidden_units": 9}), request, 1e9)
    assert named.startswith("digits-mlp like aaaaaaaa hidden_units=9 2")


def test_a_long_or_strange_value_keeps_the_name_short_and_in_one_line() -> None:
    named = name_of({"hidden_units": list(range(1000, 1090)), "activation": "relu"})
    assert len(named) < 150
    assert re.search(STAMP, named)


def test_a_parameter_without_its_condition_is_no_part_of_the_name() -> None:
    text = """
title = "mine"
[data]
name = "digits"
[model]
family = "mlp"
[space]
optimizer = ["adam", "momentum"]
momentum = { low = 0.5, high = 0.9, when = { optimizer = "momentum" } }
"""
    experiment = parse_experiment(Path("mine.toml"), text)
    fixed = experiment.with_fixed({"momentum": 0.6})
    assert fixed.changed_values() == {"momentum": 0.6}
    both = fixed.with_fixed({"optimizer": "adam"})
    assert both.changed_values()["optimizer"] == "adam"
