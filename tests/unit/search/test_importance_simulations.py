"""A short run of `tests.simulations.importances`: null hyperparameters are rarely declared."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from tests.simulations.importances import Truth, declares_null, finds_units, true_share

LEVEL = 0.05


@pytest.mark.parametrize(
    ("truth", "studies"),
    [
        (Truth("random", 20), 50),
        (Truth("random", 40, rate_points=2.0, pruned_fraction=0.5), 20),
        (Truth("tpe", 30, rate_points=2.0), 20),
    ],
)
def test_a_hyperparameter_without_effect_is_rarely_declared(truth: Truth, studies: int) -> None:
    declared = sum(declares_null(truth, seed) for seed in range(studies))
    assert declared <= binom.ppf(1 - LEVEL / 3, studies, LEVEL)


def test_an_effect_is_found() -> None:
    truth = Truth("random", 40, units_points=2.0)
    assert sum(finds_units(truth, seed) for seed in range(10)) >= 9
    assert 0.4 < true_share(truth) < 0.6
