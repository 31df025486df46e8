"""Search spaces: parsing, conditions and refused values."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from assay.models.errors import RequestError
from assay.search.space import Parameter, read_space
from assay.search.space.grid import count_grid_values, grid_configurations, grid_values
from tests.helpers.limits import time_limit

OPTIMIZERS = {
    "optimizer": ["momentum", "adam"],
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "momentum"}},
    "nesterov": {"choices": [True, False], "when": {"momentum": {"low": 0.9}}},
}
"""A condition, and a second one that depends on it."""

LAYERS = {
    "units_3": {"low": 8, "high": 16, "when": {"layers": 3}},
    "units_2": {"low": 8, "high": 16, "step": 8, "when": {"layers": [2, 3]}},
    "layers": [1, 2, 3],
}
"""Dependent parameters come before their parents, as a user may write them."""


def parameter(given: Any) -> Parameter:
    return read_space({"name": given})["name"]


@pytest.mark.parametrize(
    ("given", "distribution"),
    [
        ({"low": 16, "high": 512, "log": True}, IntDistribution(16, 512, log=True)),
        ({"low": 1, "high": 9, "step": 2}, IntDistribution(1, 9, step=2)),
        ({"low": 1e-4, "high": 1e-1, "log": True}, FloatDistribution(1e-4, 1e-1, log=True)),
        ({"low": 0, "high": 0.5, "step": 0.1}, FloatDistribution(0.0, 0.5, step=0.1)),
        ({"low": 3, "high": 3}, IntDistribution(3, 3)),
        (["sigmoid", "tanh"], CategoricalDistribution(["sigmoid", "tanh"])),
        ({"choices": ["sigmoid", "tanh"]}, CategoricalDistribution(["sigmoid", "tanh"])),
        ([True, False], CategoricalDistribution([True, False])),
        ([[64], [128, 64]], CategoricalDistribution(["[64]", "[128, 64]"])),
    ],
)
def test_ranges_and_choices_are_parsed(given: Any, distribution: object) -> None:
    assert parameter(given).distribution == distribution


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 5, "high": 2}, "low must not be above high; received low = 5, high = 2"),
        ({"low": 0, "high": 1, "log": True}, "must lie above 0; received low = 0"),
        ({"low": -1.0, "high": 1, "log": True}, "must lie above 0; received low = -1.0"),
        ({"low": 1, "high": 8, "log": True, "step": 2}, "takes no step"),
        ({"low": 0, "high": 1, "step": 0.3}, "must be low plus a multiple of step"),
        ({"low": 0, "high": 4, "step": 0}, "step: input should be greater than 0; received 0"),
        ({"low": math.inf, "high": 4}, "must be finite"),
        ({"low": 1}, "must say 'high'"),
        ({"low": 1, "high": 2, "stpe": 1}, "does not know 'stpe'.*Did you mean 'step'"),
        ({"low": "1", "high": 2}, "low.*received '1'"),
        ([], "must not be empty"),
        ([1, 1], "each choice may be given once"),
        ([1, 1.0, 2], "1, 1.0 and true are one"),
        ([True, 1], "1, 1.0 and true are one"),
        ([[1], [1]], "each choice may be given once"),
        ([[1], "[1]"], "must not be the text of another"),
        ([{"a": 1}], "a choice must be a text, a number, a boolean or a list; received {'a': 1}"),
        ({"choices": 3}, "choices.*received 3"),
        ({"choices": [1], "low": 3}, "does not know 'low'"),
        (7, "must be a list of choices or a range"),
        ({"low": 1, "high": 2, "when": 3}, "when: must be a table such as .*received 3"),
        ({"low": 1, "high": 2, "when": {}}, "when: must be a table"),
        (
            {"low": 1, "high": 2, "when": {"other": []}},
            "when other: a list of values must not be empty",
        ),
        ({"low": 1, "high": 2, "when": {"other": {}}}, "when other: must say low, high or both"),
        ({"low": 1, "high": 2, "when": {"other": {"lo": 1}}}, "Did you mean 'low'"),
        (list(range(300_000)), "takes at most 1,000 choices; received 300,000: remove some"),
        ({"choices": ["a"] * 1_001}, "takes at most 1,000 choices; received 1,001"),
        ([[1] * 10**6, [2]], "a choice that is a list takes at most 1,000 values; received 1,000,"),
        (
            {"low": 1, "high": 2, "when": {"other": [1] * 300_000}},
            "when other: a condition takes at most 1,000 values; received 300,000",
        ),
        ({"low": 0, "high": 1e300, "step": 5e-324}, "takes at most 9,007,199,254,740,992 steps"),
        ({"low": 0, "high": 1, "step": 1e-16}, "takes at most 9,007,199,254,740,992 steps"),
        ({"low": 1, "high": 2, "when": {"name": 1}}, "the conditions of name go round in a circle"),
    ],
)
def test_an_invalid_space_is_refused_in_one_line(given: Any, message: str) -> None:
    with time_limit(10), pytest.raises(RequestError, match=message) as caught:
        read_space({"name": given})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "[space]" in str(caught.value)
    assert "name" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [
        ({"low": 16, "high": 512}, [16, 100, 512], [15, 513, 100.0, True, "100", None]),
        ({"low": 1, "high": 9, "step": 2}, [1, 9], [2, 8]),
        ({"low": 0.1, "high": 0.9}, [0.1, 0.5], [0.0, 1, "0.5", float("nan")]),
        ({"low": 0, "high": 0.5, "step": 0.1}, [0, 0.3, 0.5], [0.25]),
        (["relu", "tanh"], ["relu"], ["Relu", 0]),
        ([1, 2], [1], [True, 3]),
        ([[64], [128, 64]], [[128, 64]], [[64, 128], "[64]", 64]),
    ],
)
def test_values_outside_the_space_are_refused(
    given: Any, inside: list[Any], outside: list[Any]
) -> None:
    for value in inside:
        assert parameter(given).check("name", value) == value
    for value in outside:
        with pytest.raises(RequestError, match="name: must be"):
            parameter(given).check("name", value)


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(1, 10))
def test_both_ends_of_a_range_are_in_it(low: int, steps: int, step: int) -> None:
    read = parameter({"low": low, "high": low + steps * step, "step": step})
    for value in read.extreme_values():
        assert read.check("name", value) == value


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"low": 16, "high": 512, "log": True}, "16 to 512, log"),
        ({"low": 0, "high": 0.5, "step": 0.1}, "0.0 to 0.5, step 0.1"),
        (["a", 2, True], "['a', 2, True]"),
        ([[64], [128, 64], 3], "[[64], [128, 64], 3]"),
    ],
)
def test_a_parameter_has_a_short_complete_description(given: Any, text: str) -> None:
    assert str(parameter(given)) == text


def test_conditions_are_part_of_the_description() -> None:
    assert read_space(OPTIMIZERS).to_records() == {
        "optimizer": "['momentum', 'adam']",
        "momentum": "0.5 to 0.99, when optimizer = 'momentum'",
        "nesterov": "[True, False], when momentum >= 0.9",
    }
    assert str(read_space(LAYERS)["units_2"]) == "8 to 16, step 8, when layers = 2 or 3"


@pytest.mark.parametrize(
    ("space", "drawn", "configuration"),
    [
        (OPTIMIZERS, {"optimizer": "adam"}, {"optimizer": "adam"}),
        (
            OPTIMIZERS,
            {"optimizer": "momentum", "momentum": 0.6},
            {"optimizer": "momentum", "momentum": 0.6},
        ),
        (
            OPTIMIZERS,
            {"optimizer": "momentum", "momentum": 0.95, "nesterov": True},
            {"optimizer": "momentum", "momentum": 0.95, "nesterov": True},
        ),
        (LAYERS, {"layers": 1}, {"layers": 1}),
        (
            LAYERS,
            {"layers": 3, "units_3": 9, "units_2": 8},
            {"layers": 3, "units_3": 9, "units_2": 8},
        ),
        ({"units": [[64], [128, 64]]}, {"units": "[128, 64]"}, {"units": [128, 64]}),
        (
            {"rate": {"low": 0, "high": 0.5, "step": 0.1}},
            {"rate": 0.30000000000000004},
            {"rate": 0.3},
        ),
    ],
)
def test_only_existing_parameters_are_drawn(
    space: dict[str, Any], drawn: dict[str, Any], configuration: dict[str, Any]
) -> None:
    asked: list[str] = []

    def suggest(name: str, distribution: object) -> Any:
        asked.append(name)
        return drawn[name]

    assert read_space(space).draw(suggest) == configuration
    assert set(asked) == set(drawn)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"optimizer": "adam", "momentum": 0.9},
            "momentum: exists only when optimizer = 'momentum'; received .*'adam'",
        ),
        (
            {"momentum": 0.9},
            "momentum: exists only when optimizer = 'momentum'; received optimizer = 'nothing'",
        ),
        ({"momentun": 0.9}, "list does not search 'momentun'.*Did you mean 'momentum'"),
        ({"optimizer": "sgd"}, "list optimizer: must be one of momentum, adam; received 'sgd'"),
    ],
)
def test_a_configuration_outside_the_space_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_space(OPTIMIZERS).check(values, "list")


def test_a_condition_that_never_holds_is_refused() -> None:
    with pytest.raises(
        RequestError,
        match=r"momentum when: optimizer = 'sgd' never holds, since optimizer is \['adam'\]",
    ):
        read_space(
            {
                "optimizer": ["adam"],
                "momentum": {"low": 0.1, "high": 0.2, "when": {"optimizer": "sgd"}},
            }
        )


def test_bounds_between_the_ends_of_a_range_can_hold() -> None:
    units = {"low": 1, "high": 9, "step": 2}
    space = read_space(
        {
            "units": units,
            "rate": {"low": 0.1, "high": 0.2, "when": {"units": {"low": 3.5, "high": 6}}},
        }
    )
    assert {"units": 5, "rate": 0.1} in space.fix({}).corners()
    with pytest.raises(RequestError, match=r"5.5 <= units <= 6.5 never holds"):
        read_space(
            {
                "units": units,
                "rate": {"low": 1, "high": 2, "when": {"units": {"low": 5.5, "high": 6.5}}},
            }
        )


def test_conditions_that_never_hold_together_are_refused() -> None:
    space = {
        **OPTIMIZERS,
        "nesterov": {"choices": [True], "when": {"momentum": {"low": 0.6}, "optimizer": "adam"}},
    }
    with pytest.raises(RequestError, match=r"nesterov when: .* never hold together"):
        read_space(space).fix({})


def test_circular_conditions_are_refused() -> None:
    with pytest.raises(RequestError, match="the conditions of a, b go round in a circle"):
        read_space(
            {
                "a": {"low": 1, "high": 2, "when": {"b": 1}},
                "b": {"low": 1, "high": 2, "when": {"a": 1}},
            }
        )


@pytest.mark.parametrize(
    ("space", "fixed", "left"),
    [
        (OPTIMIZERS, {"optimizer": "adam"}, {}),
        (
            OPTIMIZERS,
            {"optimizer": "momentum"},
            {"momentum": "0.5 to 0.99", "nesterov": "[True, False], when momentum >= 0.9"},
        ),
        (OPTIMIZERS, {"optimizer": "momentum", "momentum": 0.95}, {"nesterov": "[True, False]"}),
        (LAYERS, {"layers": 2}, {"units_2": "8 to 16, step 8"}),
        (LAYERS, {"rate": 0.1}, read_space(LAYERS).to_records()),
    ],
)
def test_fixed_values_resolve_conditions(
    space: dict[str, Any], fixed: dict[str, Any], left: dict[str, str]
) -> None:
    assert read_space(space).fix(fixed).to_records() == left


def test_a_condition_on_an_unknown_name_is_refused() -> None:
    space = read_space({"momentum": {"low": 0.1, "high": 0.2, "when": {"optimiser": "momentum"}}})
    with pytest.raises(
        RequestError, match=r"'optimiser' is neither searched nor fixed.*Did you mean 'optimizer'"
    ):
        space.fix({"optimizer": "adam"})


@pytest.mark.parametrize("space", [OPTIMIZERS, LAYERS, {"units": [[1], [2, 3]]}])
def test_the_corners_contain_every_extreme_value(
    space: dict[str, Any],
) -> None:
    read = read_space(space)
    corners = list(read.corners())
    for corner in corners:
        assert read.check(corner, "corner") == corner
    for name, one in read.items():
        for value in one.extreme_values():
            assert any(corner.get(name) == value for corner in corners), (name, value)


def test_a_grid_has_every_configuration_once() -> None:
    found = list(
        grid_configurations(read_space({**LAYERS, "rate": {"low": 0, "high": 0.2, "step": 0.1}}))
    )
    rates = [0.0, 0.1, 0.2]
    expected = [{"layers": 1, "rate": rate} for rate in rates]
    expected += [
        {"layers": 2, "units_2": two, "rate": rate}
        for two, rate in itertools.product((8, 16), rates)
    ]
    threes = itertools.product(range(8, 17), (8, 16), rates)
    expected += [
        {"layers": 3, "units_3": three, "units_2": two, "rate": rate} for three, two, rate in threes
    ]
    assert sorted(map(str, (dict(sorted(one.items())) for one in found))) == sorted(
        map(str, (dict(sorted(one.items())) for one in expected))
    )


def test_a_grid_of_a_continuous_range_is_refused() -> None:
    with pytest.raises(RequestError, match=r"\[space\] rate is 0.0 to 1.0; give it a step"):
        grid_configurations(read_space({"rate": {"low": 0.0, "high": 1}}))


def test_a_space_has_a_largest_number_of_names() -> None:
    names = [f"name_{number}" for number in range(201)]
    assert len(read_space({name: [1, 2] for name in names[:200]})) == 200
    with pytest.raises(RequestError, match=r"\[space\] takes at most 200 names; received 201: fix"):
        read_space({name: [1, 2] for name in names})


def test_the_largest_lists_are_read_and_give_all_corners() -> None:
    choices = list(range(1_000))
    space = read_space({"a": choices, "b": [[choice] * 1_000 for choice in choices]})
    with time_limit(20):
        assert len(list(space.corners())) == 2 * (1 + 1_000 + 1_000)


RANGES: list[tuple[Any, float]] = [
    ({"low": 1, "high": 9}, 9),
    ({"low": 1, "high": 9, "step": 2}, 5),
    ({"low": 1, "high": 1, "log": True}, 1),
    ({"low": 1, "high": 1000, "log": True}, 1000),
    ({"low": 0, "high": 0.3, "step": 0.1}, 4),
    ({"low": 0.5, "high": 0.5}, 1),
    ({"low": 1, "high": 100_000}, 100_000),
    ([3, "a", [1]], 3),
]


@pytest.mark.parametrize(("given", "count"), RANGES)
def test_the_values_of_a_grid_are_counted_as_they_are_listed(given: Any, count: int) -> None:
    one = parameter(given)
    assert count_grid_values("name", one) == len(grid_values("name", one)) == count


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"low": 1, "high": 100_001}, "1e\\+05"),
        ({"low": 1, "high": 10**9}, "1e\\+09"),
        ({"low": 1, "high": 2**53, "log": True}, "9.01e\\+15"),
        ({"low": 0, "high": 1, "step": 1e-9}, "1e\\+09"),
        ({"low": 0.0, "high": 1.0, "step": 1e-15}, "1e\\+15"),
    ],
)
def test_a_grid_that_is_too_large_is_refused_before_it_is_listed(given: Any, count: str) -> None:
    message = rf"at most 100,000 values of a range: \[space\] name is .*, which has {count}; give"
    with time_limit(10), pytest.raises(RequestError, match=message):
        grid_values("name", parameter(given))
    with time_limit(10), pytest.raises(RequestError, match=message):
        next(grid_configurations(read_space({"name": given})))
