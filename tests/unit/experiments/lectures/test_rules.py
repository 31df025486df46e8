"""Each rule of each lecture experiment can give each verdict."""

from __future__ import annotations

import json
import re

import pytest

from assay.experiments.lectures.catalog import NAMES, load_experiment, load_experiments
from assay.experiments.lectures.rules import Condition, Number, Numbers, Rule
from assay.models.errors import RequestError
from tests.helpers.command import invoke

RULES = [
    pytest.param(rule, id=f"{name}-{place}")
    for name in NAMES
    for place, rule in enumerate(load_experiment(name).rules)
]


def number_for(conditions: list[Condition], wanted: bool | None) -> Number:
    """Return a number that meets all conditions on it, misses all, or does not tell."""
    floor = max((one.at_least for one in conditions if one.at_least is not None), default=None)
    ceiling = min((one.at_most for one in conditions if one.at_most is not None), default=None)
    if floor is not None and ceiling is not None:
        inside, outside, edge = (floor + ceiling) / 2, ceiling + 1, ceiling
    elif floor is not None:
        inside, outside, edge = floor + 1, floor - 1, floor
    else:
        assert ceiling is not None
        inside, outside, edge = ceiling - 1, ceiling + 1, ceiling
    if wanted is None:
        return Number(edge, edge - 0.5, edge + 0.5)
    return Number(inside if wanted else outside)


def numbers_for(rule: Rule, wanted: bool | None) -> Numbers:
    names = {condition.number for condition in rule.conditions}
    return {
        name: number_for([one for one in rule.conditions if one.number == name], wanted)
        for name in names
    }


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_can_give_each_verdict(rule: Rule) -> None:
    assert rule.judge(numbers_for(rule, True)) == "holds"
    assert rule.judge(numbers_for(rule, False)) == "does not hold here"
    assert rule.judge(numbers_for(rule, None)) == "depends"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_says_where_it_is_from(rule: Rule) -> None:
    for text in (rule.claim, rule.place, rule.reason):
        assert text
        assert not text.endswith(".")
    for condition in rule.conditions:
        assert condition.at_least is not None or condition.at_most is not None
        assert re.search(r"at (least|most) [-\d]", condition.describe())


@pytest.mark.parametrize("name", NAMES)
def test_each_experiment_is_complete(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment.name == name
    assert len(experiment.next_steps) == 3
    assert not experiment.claim.endswith(".")
    assert experiment.rules
    assert experiment.minutes in (2, 4)


def test_four_experiments_at_most_take_longer() -> None:
    assert sum(one.minutes > 2 for one in load_experiments()) <= 4


@pytest.mark.parametrize(
    ("conditions", "numbers", "verdict"),
    [
        ([Condition("a", at_least=1)], {"a": Number(1)}, "holds"),
        ([Condition("a", at_least=1)], {"a": Number(1.2, 0.9, 1.5)}, "depends"),
        ([Condition("a", at_least=1)], {"a": Number(0.8, 0.7, 0.9)}, "does not hold here"),
        ([Condition("a", 0, 1)], {"a": Number(0.5, 0, 1)}, "holds"),
        (
            [Condition("a", at_least=1), Condition("b", at_most=0)],
            {"a": Number(2), "b": Number(2)},
            "depends",
        ),
        (
            [Condition("a", at_least=1), Condition("b", at_most=0)],
            {"a": Number(0), "b": Number(2)},
            "does not hold here",
        ),
    ],
)
def test_a_rule_holds_if_all_of_every_interval_does(
    conditions: list[Condition], numbers: Numbers, verdict: str
) -> None:
    assert Rule("c", "p", conditions, "r").judge(numbers) == verdict


def test_a_number_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(KeyError):
        Rule("c", "p", [Condition("a", at_least=1)], "r").judge({})


def test_experiments_are_listed() -> None:
    listed = json.loads(invoke("lectures", "--list", "--json").out)
    assert [set(one) for one in listed] == [{"name", "source", "claim"}] * len(NAMES)
    assert [one["name"] for one in listed] == list(NAMES)
    plain = invoke("lectures", "--list", NAMES[-1]).out
    assert plain.startswith(NAMES[-1])
    assert len(plain.splitlines()) == 1


def test_an_unknown_experiment_is_refused() -> None:
    done = invoke("lectures", "mnist-two-layers")
    assert done.code == 2
    assert "did you mean 'mnist-two-layer'" in done.err.lower().replace('"', "'")
    with pytest.raises(RequestError):
        load_experiments(["nothing"])
