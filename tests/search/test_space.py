"""Spaces: what is read, what is refused and how that is said."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from models.errors import RequestError
from search.space import check_value, describe, extremes, read_space


@pytest.mark.parametrize(
    ("given", "distribution"),
    [
        ({"low": 16, "high": 512, "log": True}, IntDistribution(16, 512, log=True)),
        ({"low": 1, "high": 9, "step": 2}, IntDistribution(1, 9, step=2)),
        ({"low": 1e-4, "high": 1e-1, "log": True}, FloatDistribution(1e-4, 1e-1, log=True)),
        ({"low": 0, "high": 0.5, "step": 0.1}, FloatDistribution(0.0, 0.5, step=0.1)),
        ({"low": 3, "high": 3}, IntDistribution(3, 3)),
        (["sigmoid", "tanh"], CategoricalDistribution(["sigmoid", "tanh"])),
        ([True, False], CategoricalDistribution([True, False])),
    ],
)
def test_ranges_and_choices_are_read(given: Any, distribution: object) -> None:
    assert read_space({"name": given}) == {"name": distribution}


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
        ([[1]], "a choice must be a text, a number or a boolean; received \\[1\\]"),
        (7, "must be a list of choices or a range"),
    ],
)
def test_what_is_no_space_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_space({"name": given})
    assert "\n" not in str(caught.value)
    assert "[space] name" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [
        ({"low": 16, "high": 512}, [16, 100, 512], [15, 513, 100.0, True, "100", None]),
        ({"low": 1, "high": 9, "step": 2}, [1, 9], [2, 8]),
        ({"low": 0.1, "high": 0.9}, [0.1, 0.5], [0.0, 1, "0.5", float("nan")]),
        ({"low": 0, "high": 0.5, "step": 0.1}, [0, 0.3, 0.5], [0.25]),
        (["relu", "tanh"], ["relu"], ["Relu", 0]),
        ([1, 2], [1], [True, 3]),
    ],
)
def test_values_are_told_from_those_outside(given: Any, inside: list[Any], outside: list[Any]) -> None:
    distribution = read_space({"name": given})["name"]
    for value in inside:
        assert check_value("name", distribution, value) == value
    for value in outside:
        with pytest.raises(RequestError, match="name: must be"):
            check_value("name", distribution, value)


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(1, 10))
def test_both_ends_of_every_range_lie_in_it(low: int, steps: int, step: int) -> None:
    distribution = read_space({"name": {"low": low, "high": low + steps * step, "step": step}})["name"]
    for value in extremes(distribution):
        assert check_value("name", distribution, value) == value


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"low": 16, "high": 512, "log": True}, "16 to 512, log"),
        ({"low": 0, "high": 0.5, "step": 0.1}, "0.0 to 0.5, step 0.1"),
        (["a", 1, True], "['a', 1, True]"),
    ],
)
def test_a_distribution_is_described_in_a_few_words_that_say_all_of_it(given: Any, text: str) -> None:
    assert describe(read_space({"name": given})["name"]) == text
