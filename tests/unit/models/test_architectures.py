"""Settings of every model family."""

from __future__ import annotations

from typing import Any

import pytest

from assay.models.architectures.registry import FAMILIES
from assay.models.errors import RequestError
from tests.helpers.limits import time_limit


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
def test_heaviside_is_refused_with_the_reason(family: str) -> None:
    with pytest.raises(
        RequestError, match=r"\[model\] activation: .*derivative.*'heaviside' is zero.*use one of"
    ):
        FAMILIES[family].settings.read({"activation": "heaviside"}, "[model]")


@pytest.mark.parametrize(
    ("family", "table"),
    [
        ("mlp", {"hidden_units": 0}),
        ("mlp", {"hidden_units": 1.5}),
        ("mlp", {"hidden_units": "32"}),
        ("mlp", {"hidden_layers": 0}),
        ("mlp", {"dropout": 1.0}),
        ("mlp", {"dropout": -0.1}),
        ("mlp", {"l2": -1e-4}),
        ("mlp", {"l2": float("inf")}),
        ("mlp", {"activation": "rellu"}),
        ("linear", {"initializer": "glorot"}),
        ("cnn", {"blocks": 0}),
        ("cnn", {"filters": 0}),
        ("mlp", {"hidden_units": []}),
        ("mlp", {"hidden_units": [32, 0]}),
        ("mlp", {"hidden_units": True}),
        ("mlp", {"hidden_units_2": 0}),
        ("mlp", {"batch_norm": 1}),
        ("cnn", {"batch_norm": "yes"}),
        ("linear", {"l1": -0.5}),
        ("mlp", {"l1": float("nan")}),
        ("resnet", {"blocks": 0}),
        ("resnet", {"filters": 0}),
        ("resnet", {"dropout": 1}),
        ("mlp", {"hidden_layers": 10**9}),
        ("mlp", {"hidden_layers": 1_001}),
        ("mlp", {"hidden_units": 1_000_001}),
        ("mlp", {"hidden_units": [10**9, 3]}),
        ("mlp", {"hidden_units_3": 10**9}),
        ("cnn", {"blocks": 21}),
        ("cnn", {"blocks": 10**12}),
        ("cnn", {"filters": 10**9}),
        ("cnn", {"kernel_size": 1_001}),
        ("cnn", {"dense_units": 10**9}),
        ("resnet", {"blocks": 201}),
        ("resnet", {"filters": 10**9}),
    ],
)
def test_an_invalid_value_is_refused_and_shown(family: str, table: dict[str, Any]) -> None:
    ((name, value),) = table.items()
    with pytest.raises(RequestError) as caught:
        FAMILIES[family].settings.read(table, "[model]")
    assert str(caught.value).startswith(f"[model] {name}: ")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"hidden_units": [4, 5], "hidden_layers": 3},
            r"received \[4, 5\] with hidden_layers = 3; remove",
        ),
        (
            {"hidden_units": [4, 5], "hidden_units_2": 6},
            r"hidden_units_2 = 6 with hidden_units = \[4, 5\]; put it",
        ),
        (
            {"hidden_layers": 2, "hidden_units_3": 6},
            "at least 3 hidden layers: .*hidden_layers = 2; remove it or set",
        ),
        (
            {"hidden_units_2": 6},
            "at least 2 hidden layers: received hidden_units_2 = 6 with hidden_layers = 1",
        ),
    ],
)
def test_contradictory_widths_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        FAMILIES["mlp"].settings.read(table, "[model]")


@pytest.mark.parametrize(
    ("family", "table"),
    [
        ("mlp", {"hidden_layers": 100, "hidden_units": 1_000_000}),
        ("mlp", {"hidden_units": [1] * 100}),
        ("cnn", {"blocks": 20, "filters": 1_000_000, "kernel_size": 1_000}),
        ("resnet", {"blocks": 30, "filters": 1_000_000}),
    ],
)
def test_the_largest_networks_are_settings(family: str, table: dict[str, Any]) -> None:
    found = FAMILIES[family]
    settings = found.settings.read(table, "[model]")
    assert found.macs is not None
    assert found.macs(settings, (2**20, 2**20, 3), 10) > 0
    found.check_input(settings, (2**20, 2**20, 3))


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([1] * 10**6, "takes at most 100 hidden layers; received a list of 1,000,000 numbers"),
        ([0] * 100, r"1 to 1,000,000, or a list .*; received \[0, 0, [0, ]+\.\.\.\.$"),
    ],
)
def test_a_long_list_is_refused_in_a_short_line(widths: list[int], message: str) -> None:
    with time_limit(10), pytest.raises(RequestError, match=message) as caught:
        FAMILIES["mlp"].settings.read({"hidden_units": widths}, "[model]")
    assert len(str(caught.value)) < 400


def test_a_list_of_widths_sets_the_number_of_layers() -> None:
    settings = FAMILIES["mlp"].settings.read({"hidden_units": [4, 5, 6]}, "[model]")
    assert settings.model_dump()["hidden_layers"] == 3
    assert FAMILIES["mlp"].settings.read(settings.model_dump(), "[model]") == settings
