"""What is asked in Python is checked as the command line's options are, and read the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.config.request import load_experiment, parse_sweep_request, read_seconds
from assay.models.errors import RequestError
from assay.search.system.signals import StopRequest

NOTHING: dict[str, Any] = {
    "study": None,
    "workers": None,
    "seed": None,
    "execution": {},
    "timeout": None,
    "failure_policy": {},
    "enqueue": None,
}


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), (2.5, 2.5), (60, 60)]
)
def test_a_time_is_a_number_of_seconds_or_a_text(given: str | float, seconds: float) -> None:
    assert read_seconds(given, "timeout") == seconds


@pytest.mark.parametrize("given", ["", "soon", "0s", "-1", 0, -1, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(given: str | float) -> None:
    with pytest.raises(
        RequestError, match="timeout takes a time above 0, such as 90s, 10m or 1h30m; received"
    ):
        read_seconds(given, "timeout")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 0}, "workers: input should be greater than or equal to 1; received 0"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"seed": 1.5}, "seed: input should be a valid integer"),
        ({"failure_policy": {"max_failures": 0}}, "max_failures"),
        ({"failure_policy": {"retries": -1}}, "retries: input should be greater than or equal to 0"),
        ({"failure_policy": {"trial_timeout": "soon"}}, "trial_timeout takes a time above 0"),
        ({"timeout": "soon"}, "timeout takes a time above 0"),
        ({"enqueue": {"hidden_units": 8}}, "enqueue takes a list of configurations"),
        ({"enqueue": [3]}, "enqueue must hold a list"),
        ({"enqueue": [{"hiden_units": 8}]}, "hidden_units"),
        ({"enqueue": "nowhere.json"}, "there is no file nowhere.json"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        parse_sweep_request(load_experiment("digits-mlp"), **{**NOTHING, **changes})


@pytest.mark.parametrize(
    ("experiment", "values", "words"),
    [
        ("digit-mlp", None, "Did you mean 'digits-mlp'"),
        (Path("digits-mlp"), None, "there is no file digits-mlp"),
        (3, None, "an experiment is named by its text or its Path; received 3"),
        ("digits-mlp", ["hidden_units=8"], "set takes values by name"),
        ("digits-mlp", {"hiden_units": 8}, "Did you mean 'hidden_units'"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(experiment: Any, values: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_experiment(experiment, values)


def test_cells_of_a_data_frame_are_values_and_configurations() -> None:
    asked = load_experiment("digits-mlp", {"hidden_units": np.int64(16)}, epochs=2)
    assert asked.fixed()["hidden_units"] == 16
    row = {"batch_size": np.int64(32), "learning_rate": np.float64(0.01)}
    (first,) = parse_sweep_request(asked, **{**NOTHING, "enqueue": [row]}).enqueued
    assert first == {"batch_size": 32, "learning_rate": 0.01}
    assert type(first["batch_size"]) is int


def test_where_no_signal_is_heard_none_is_listened_for() -> None:
    stopped: list[bool] = []

    def ask() -> None:
        with StopRequest() as stop:
            stopped.append(bool(stop))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert stopped == [False]
