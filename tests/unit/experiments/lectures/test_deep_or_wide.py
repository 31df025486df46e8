"""Networks of one budget have nearly as many parameters."""

from __future__ import annotations

import pytest

from assay.experiments.lectures.topics.deep_or_wide import (
    _BUDGETS,
    Budget,
    count_parameters,
    find_width,
    list_shapes,
)


def test_the_lectures_network_has_its_number_of_parameters() -> None:
    assert count_parameters(784, 1, 100) == 79_510
    assert find_width(784, 1, 79_510) == 100


@pytest.mark.parametrize("budget", _BUDGETS, ids=lambda budget: budget.name)
def test_networks_of_a_budget_have_nearly_as_many_parameters(budget: Budget) -> None:
    wanted = count_parameters(budget.inputs, 1, budget.units)
    for depth, width in list_shapes(budget).items():
        assert count_parameters(budget.inputs, depth, width) == pytest.approx(wanted, rel=0.02)
