"""Requests in Python: checked and read like the options of the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.config.options import SweepArguments, read_options
from assay.experiments.config.request import load_experiment, read_sweep
from assay.experiments.formatting import parse_seconds
from assay.models.errors import RequestError
from assay.search.system.signals import StopRequest


class Frame:
    """A table that is written on several lines, like a DataFrame."""

    def __repr__(self) -> str:
        return "one  two\n1    2"


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), (2.5, 2.5), (60, 60)]
)
def test_a_time_is_a_number_of_seconds_or_a_string(given: str | float, seconds: float) -> None:
    assert parse_seconds(given, "timeout") == seconds


@pytest.mark.parametrize(
    "given", ["", "soon", "0s", "-1", 0, -1, float("nan"), float("inf"), 10**400, True, [1], {}]
)
def test_an_invalid_time_is_refused(given: str | float) -> None:
    with pytest.raises(
        RequestError, match="timeout takes a time above 0, such as 90s, 10m or 1h30m; received"
    ):
        parse_seconds(given, "timeout")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 0}, "workers takes a whole number, 1 or more; received 0"),
        ({"workers": "2"}, "workers takes a whole number, 1 or more; received '2'"),
        ({"gpu_memory": "all"}, "gpu_memory takes a number above 0; received 'all'"),
        ({"seed": -1}, "seed takes a whole number, 0 or more; received -1"),
        ({"seed": 1.5}, "seed takes a whole number, 0 or more; received 1.5"),
        ({"max_failures": 0}, "max_failures takes a whole number, 1 or more; received 0"),
        ({"retries": -1}, "retries takes a whole number, 0 or more; received -1"),
        ({"retries": True}, "retries takes a whole number, 0 or more; received True"),
        ({"trial_timeout": "soon"}, "trial_timeout takes a time above 0"),
        ({"gpu_memory": 0}, "gpu_memory takes a number above 0; received 0"),
        ({"gpu_memory": float("nan")}, "gpu_memory takes a number above 0; received nan"),
        ({"checkpoint": "yes"}, "checkpoint takes True or False; received 'yes'"),
        ({"device": 1}, "device takes text; received 1"),
        ({"xla": True}, "xla takes text; received True"),
        ({"study": 3}, "study takes text; received 3"),
        ({"storage": Path("optuna.db")}, "storage takes text; received PosixPath"),
        ({"home": 3}, "home takes a path; received 3"),
        ({"set": ["hidden_units=8"]}, "set takes values by name"),
        ({"set": {1: 2}}, "set takes values by name"),
        ({"gpu_memory": 1e309}, "gpu_memory takes a number above 0; received inf"),
        ({"fuse": "some"}, "fuse must be auto, off, or the number of trials"),
        ({"timeout": "soon"}, "timeout takes a time above 0"),
        ({"enqueue": {"hidden_units": 8}}, "enqueue takes a list of configurations"),
        ({"enqueue": [3]}, "enqueue must hold a list"),
        ({"enqueue": [{1: 2}]}, "enqueue must hold a list"),
        ({"enqueue": [{"hiden_units": 8}]}, "hidden_units"),
        ({"enqueue": "nowhere.json"}, "there is no file nowhere.json"),
    ],
)
def test_an_invalid_sweep_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_sweep("digits-mlp", changes)


@pytest.mark.parametrize(
    ("experiment", "values", "words"),
    [
        ("digit-mlp", None, "Did you mean 'digits-mlp'"),
        (Path("digits-mlp"), None, "there is no file digits-mlp"),
        (10**5000, None, "an experiment is .*; received a value of type int"),
        (Frame(), None, "an experiment is .*; received one two"),
        (3, None, "an experiment is the name of one, or a Path to its file; received 3"),
        ("digits-mlp", {"hiden_units": 8}, "Did you mean 'hidden_units'"),
    ],
    ids=["name", "path", "digits", "lines", "number", "key"],
)
def test_an_invalid_experiment_is_refused(experiment: Any, values: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_experiment(experiment, values)


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
CIRCULAR_TABLE: dict[str, Any] = {}
CIRCULAR_TABLE["hidden_units"] = [CIRCULAR_TABLE]
ARRAY = np.empty(1, object)
ARRAY[0] = [10**30]


@pytest.mark.parametrize(
    "value",
    [10**19, -(2**63) - 1, 10**400, 10**5000, np.uint64(2**64 - 1), ARRAY],
    ids=["20", "19", "400", "5000", "numpy", "array"],
)
@pytest.mark.parametrize(
    "name", ["trials", "epochs", "seed", "workers", "fuse", "gpu_memory", "study", "home", "set"]
)
def test_integers_of_more_than_64_bits_are_refused(name: str, value: Any) -> None:
    given = {"hidden_units": [value]} if name == "set" else value
    words = f"{name}: a whole number must fit into 64 bits; received one of about [0-9,]+ digits"
    with pytest.raises(RequestError, match=words) as caught:
        read_sweep("digits-mlp", {name: given})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value", [CIRCLE, CIRCULAR_TABLE, [[CIRCLE, 3]]], ids=["list", "dict", "in"]
)
@pytest.mark.parametrize("name", ["trials", "enqueue", "study", "fuse", "home", "set"])
def test_values_that_contain_themselves_are_refused(name: str, value: Any) -> None:
    given = {"hidden_units": value} if name == "set" else value
    with pytest.raises(RequestError, match=f"{name}: a value must not contain itself"):
        read_sweep("digits-mlp", {name: given})


def test_an_error_shows_any_value_on_one_short_line() -> None:
    for value in (Frame(), "x" * 10_000, [Frame()] * 1_000):
        with pytest.raises(RequestError) as caught:
            read_sweep("digits-mlp", {"trials": value})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["0", "9" * 10, "9" * 4_000, "9" * 5_000, "-1", "1.5", "²"])
def test_an_invalid_number_of_fused_trials_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="fuse must be auto, off, or the number") as caught:
        read_sweep("digits-mlp", {"fuse": text})
    assert len(str(caught.value)) < 400


def test_numpy_scalars_of_a_data_frame_are_accepted() -> None:
    asked = load_experiment("digits-mlp", {"hidden_units": np.int64(16)}, epochs=2)
    assert asked.fixed_hyperparameters()["hidden_units"] == 16
    row = {"batch_size": np.int64(32), "learning_rate": np.float64(0.01)}
    _, request, _ = read_sweep("digits-mlp", {"enqueue": [row], "workers": np.int64(3)})
    (first,) = request.enqueued
    assert (request.workers, type(request.workers)) == (3, int)
    assert first == {"batch_size": 32, "learning_rate": 0.01}
    assert type(first["batch_size"]) is int


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"trials": np.int64(2)}, 2),
        ({"epochs": np.int32(2)}, 2),
        ({"workers": np.uint8(2)}, 2),
        ({"seed": np.int64(3)}, 3),
        ({"timeout": np.int64(60)}, 60),
        ({"timeout": np.float32(2.5)}, 2.5),
        ({"timeout": np.str_("1m")}, 60),
        ({"trial_timeout": np.int64(9)}, 9),
        ({"max_failures": np.int64(4)}, 4),
        ({"retries": np.int64(0)}, 0),
        ({"gpu_memory": np.float32(0.5)}, 0.5),
        ({"fuse": np.int64(4)}, 4),
        ({"fuse": np.str_("off")}, "off"),
        ({"checkpoint": np.bool_(True)}, True),
        ({"progress": np.bool_(False)}, False),
        ({"sampler": np.str_("random")}, "random"),
        ({"pruner": np.str_("median")}, "median"),
        ({"study": np.str_("mine")}, "mine"),
        ({"backend": np.str_("jax")}, "jax"),
        ({"home": np.str_("home")}, "home"),
        (
            {"set": {"hidden_units": np.array([8, 4]), "batch_norm": np.bool_(True)}},
            {"hidden_units": [8, 4], "batch_norm": True},
        ),
        ({"enqueue": [{"hidden_units": [np.int64(8)]}]}, [{"hidden_units": [8]}]),
    ],
    ids=str,
)
def test_every_option_takes_numpy_values(given: dict[str, Any], expected: object) -> None:
    (name,) = given
    value = read_options(SweepArguments, given)[name]
    assert value == expected
    assert json.loads(json.dumps(value)) == expected, "NumPy's values are no JSON"


def test_a_sweep_of_numpy_values() -> None:
    values = {
        "trials": np.int64(2),
        "epochs": np.int64(1),
        "workers": np.int64(1),
        "set": {"batch_size": np.int64(16), "dropout": np.float32(0.5), "flip": np.bool_(True)},
        "sampler": np.str_("random"),
    }
    chosen, request, _ = read_sweep("digits-mlp", values)
    assert (chosen.search.trials, request.workers, chosen.search.sampler) == (2, 1, "random")
    recorded = chosen.fixed_hyperparameters()
    assert (recorded["epochs"], recorded["batch_size"], recorded["flip"]) == (1, 16, True)
    json.dumps(recorded)


class TestNotes:
    @pytest.mark.parametrize("value", [[1, 2], np.array([1, 2]), (1, 2)])
    def test_a_list_in_place_of_a_searched_number_is_told(self, value: Any) -> None:
        (note,) = load_experiment("digits-mlp", {"hidden_units": value}).notes()
        assert note.startswith("hidden_units = [1, 2] is one value for every trial")
        assert "2 hidden layers" in note

    @pytest.mark.parametrize("values", [{}, {"hidden_units": 8}, {"activation": "tanh"}])
    def test_other_values_draw_no_note(self, values: dict[str, Any]) -> None:
        assert load_experiment("digits-mlp", values).notes() == ()


def test_no_signal_handler_is_set_outside_the_main_thread() -> None:
    stopped: list[bool] = []

    def ask() -> None:
        with StopRequest() as stop:
            stopped.append(bool(stop))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert stopped == [False]
