"""A short run of `make simulate`: the probit model, false verdicts, and gaps that are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from assay.experiments.evaluation.verdicts import Comparison, compare_scores
from tests.simulations import __main__ as command
from tests.simulations import verdicts
from tests.simulations.probit import Configuration, Correlations, ProbitModel
from tests.simulations.row import Row
from tests.simulations.verdicts import KINDS, SEEDS, count_false_verdicts, count_found, most_false

STUDIES = 60


def test_the_bound_of_the_whole_run_is_127_of_2000() -> None:
    assert most_false(2000, cells=12) == 127


def test_the_model_has_the_accuracies_and_correlations_that_it_is_given() -> None:
    configurations = [Configuration(0.96, 0.003), Configuration(0.9, 0.02)]
    model = ProbitModel(configurations, Correlations(within=0.75, across=0.6))
    (right,) = model.draw(np.random.default_rng(0), 200, 20_000)
    by_seed = right.mean(axis=2)
    assert by_seed.mean(axis=1) == pytest.approx([0.96, 0.9], abs=0.006)
    # 20,000 examples are nearly infinitely many: what scatters is the seeds' luck.
    assert by_seed.std(axis=1, ddof=1) == pytest.approx([0.003, 0.02], rel=0.15)
    first, second, other = right[0, 0], right[0, 1], right[1, 0]
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.75, abs=0.03)
    same = ProbitModel([configurations[0]] * 2, Correlations(within=0.75, across=0.6))
    (right,) = same.draw(np.random.default_rng(0), 1, 20_000)
    assert np.corrcoef(right[0, 0], right[1, 0])[0, 1] == pytest.approx(0.6, abs=0.03)
    assert 0.2 < np.corrcoef(first, other)[0, 1] < 0.6


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("examples", [239, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_configurations_are_seldom_called_better_or_worse(
    kind: str, examples: int, seeds: int
) -> None:
    assert count_false_verdicts(kind, examples, seeds, STUDIES) <= most_false(STUDIES, cells=12)


def one_seed(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Comparison:
    """Compare one network of each, as if its luck were the configuration's."""
    rows = (np.repeat(each[:1], 5, axis=0) for each in (first, second))
    return compare_scores(*rows, greater_is_better=True)


def test_a_comparison_of_single_networks_breaks_the_bound() -> None:
    count = count_false_verdicts("different", 10_000, 5, STUDIES, compare=one_seed)
    assert count > most_false(STUDIES, cells=12)


def test_a_gap_of_a_point_is_found() -> None:
    in_family, alone, smallest = count_found(0.01, STUDIES)
    least = stats.binom.isf(0.99, STUDIES, 0.9)
    assert min(in_family, alone) >= least
    assert 0.003 < smallest < 0.01


@pytest.mark.parametrize(("count", "status"), [(127, 0), (128, 1)])
def test_a_broken_bound_fails_the_command(
    count: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(quick: bool) -> Iterator[Row]:
        yield Row("a cell", "a false verdict", count, 2000, most=127)

    monkeypatch.setattr(verdicts, "rows", rows)
    monkeypatch.setattr(sys, "argv", ["tests.simulations", "verdicts", "--quick"])
    assert command.main() == status
    assert f"in {count} of 2000 studies" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "is_held"), [(1800, True), (1799, False)])
def test_a_power_below_its_bound_is_broken(count: int, is_held: bool) -> None:
    assert Row("a gap", "found", count, 2000, least=1800).is_held is is_held
