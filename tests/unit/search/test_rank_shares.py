"""Shares of the variance of ranks, their test and their intervals, against SciPy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from assay.search import rank_shares
from assay.search.rank_shares import (
    compute_rank_shares,
    cut_at_terciles,
    holm,
    rank,
    split_evenly,
)

ONE_BLOCK = np.zeros(30, np.int64)


def values_and_groups(
    seed: int, ties: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    groups = random.permutation(np.arange(30) % 3).astype(np.int64)
    values = random.normal(size=30) + 0.5 * groups
    return (np.round(values) if ties else values), groups


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_are_those_of_scipy(ties: bool) -> None:
    values, _ = values_and_groups(0, ties)
    assert rank(values).tolist() == stats.rankdata(values).tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [False, True])
def test_the_share_is_epsilon_squared(seed: int, ties: bool) -> None:
    values, groups = values_and_groups(seed, ties)
    (share,) = compute_rank_shares(values, [groups], ONE_BLOCK)
    ranks = stats.rankdata(values)
    f = stats.f_oneway(*(ranks[groups == group] for group in range(3))).statistic
    # Epsilon squared by the statistic of an analysis of variance: Okada, Behaviormetrika, 2013.
    assert share.share == pytest.approx(2 * (f - 1) / (2 * f + 27))


@pytest.mark.parametrize("seed", range(3))
def test_a_free_permutation_has_the_p_value_of_a_permutation_test(seed: int) -> None:
    values, groups = values_and_groups(seed)
    (share,) = compute_rank_shares(values, [groups], ONE_BLOCK, permutations=9_999)
    samples = [stats.rankdata(values)[groups == group] for group in range(3)]
    known = stats.permutation_test(
        samples,
        lambda *parts, axis: stats.f_oneway(*parts, axis=axis).statistic,
        n_resamples=9_999,
        vectorized=True,
        alternative="greater",
        rng=np.random.default_rng(5),
    )
    assert share.p_value == pytest.approx(known.pvalue, abs=0.02)


def test_a_permutation_stays_within_its_block() -> None:
    # Both change from the first block to the second, and are unrelated within them.
    random = np.random.default_rng(0)
    late = np.arange(40) >= 20
    values = random.normal(size=40) + 10 * late
    groups = (random.random(40) < np.where(late, 0.8, 0.2)).astype(np.int64)
    (free,) = compute_rank_shares(values, [groups], np.zeros(40, np.int64))
    (blocked,) = compute_rank_shares(values, [groups], late.astype(np.int64))
    assert free.p_value == pytest.approx(0.001, abs=0.002)
    assert blocked.p_value > 0.1
    assert free.share == blocked.share


def test_the_p_value_is_that_of_all_permutations_within_blocks() -> None:
    values = np.array([2.0, 1.0, 3.0, 8.0, 4.0, 5.0, 7.0, 6.0])
    groups = np.array([0, 0, 0, 0, 0, 1, 1, 1])  # the first block has one group alone
    blocks = np.repeat([0, 1], 4)
    (share,) = compute_rank_shares(values, [groups], blocks, permutations=9_999)
    halves = [half - half.mean() for half in (values[:4], values[4:])]

    def between(*parts: Sequence[float]) -> float:
        ranks = np.concatenate(parts)
        return float(ranks[groups == 0].sum() ** 2 / 5 + ranks[groups == 1].sum() ** 2 / 3)

    every = itertools.product(*(itertools.permutations(half) for half in halves))
    reached = [between(*parts) >= between(*halves) - 1e-9 for parts in every]
    assert share.p_value == pytest.approx(np.mean(reached), abs=0.02)


def test_differences_between_blocks_do_not_change_the_test() -> None:
    random = np.random.default_rng(0)
    blocks = np.repeat([0, 1, 2], 10)
    values, groups = random.random(30), random.integers(2, size=30)
    p_values = {
        compute_rank_shares(values + offsets[blocks], [groups], blocks)[0].p_value
        for offsets in (np.array([0, 1, 2]), np.array([2, 0, 1]), np.array([1, 2, 0]))
    }
    assert len(p_values) == 1


def test_blocks_of_one_trial_tell_nothing() -> None:
    values, groups = values_and_groups(0)
    (share,) = compute_rank_shares(values, [groups], np.arange(30))
    assert share.p_value == 1.0


def test_the_interval_is_a_shifted_percentile_bootstrap() -> None:
    values, groups = values_and_groups(1)
    (share,) = compute_rank_shares(values, [groups], ONE_BLOCK, resamples=4_000)
    random, shares = np.random.default_rng(7), []
    for _ in range(1_000):
        drawn = random.integers(30, size=30)
        ranks, own = stats.rankdata(values[drawn]), groups[drawn]
        parts = [part for group in range(3) if len(part := ranks[own == group])]
        between = sum(len(part) * (part.mean() - 15.5) ** 2 for part in parts)
        total = ((ranks - 15.5) ** 2).sum()
        within = (total - between) / (30 - len(parts))
        shares.append((between - (len(parts) - 1) * within) / total)
    shift = share.share - np.mean(shares)
    low, high = np.quantile(shares, (0.025, 0.975)) + shift
    assert (share.low, share.high) == pytest.approx((low, high), abs=0.05)


@pytest.mark.parametrize("numbers", [10_000_000, 100])
def test_several_groupings_are_evaluated_as_each_alone(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_shares, "_MEMBER_NUMBERS", numbers)  # together, or in two batches
    values, first = values_and_groups(0)
    _, second = values_and_groups(1)
    second = (second > 0).astype(np.int64)  # another number of groups
    together = compute_rank_shares(values, [first, second], ONE_BLOCK)
    for groups, share in zip((first, second), together, strict=True):
        (alone,) = compute_rank_shares(values, [groups], ONE_BLOCK)
        assert astuple(share) == pytest.approx(astuple(alone))
    assert compute_rank_shares(values, [], ONE_BLOCK) == []


def test_many_tests_have_enough_permutations_for_the_first_step_of_holm() -> None:
    values = np.arange(30.0)
    groups = np.repeat([0, 1, 2], 10)
    (share,) = compute_rank_shares(values, [groups], ONE_BLOCK, tests=100)
    assert share.p_value <= 0.05 / 100


def test_infinite_values_are_ranked() -> None:
    values, groups = values_and_groups(0)
    extreme = np.where(values == values.min(), -np.inf, values)
    assert compute_rank_shares(extreme, [groups], ONE_BLOCK) == compute_rank_shares(
        values, [groups], ONE_BLOCK
    )


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([], []),
        ([0.05], [True]),
        ([0.051], [False]),
        ([0.03, 0.01, 0.04], [False, True, False]),
        ([0.02, 0.01, 0.04], [True, True, True]),
        # The second is not judged once the first has failed.
        ([0.026, 0.026], [False, False]),
    ],
)
def test_holm(p_values: list[float], rejected: list[bool]) -> None:
    assert holm(p_values) == rejected


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2]),
        ([6, 1, 5, 2, 4, 3], [2, 0, 2, 0, 1, 1]),
        ([1, 1, 1, 1], [0, 0, 0, 0]),
        ([1, 2, 1, 2], [0, 1, 0, 1]),
        ([1, 1, 1, 1, 1, 1, 1, 2], [0, 0, 0, 0, 0, 0, 0, 1]),
        ([2, 2, 2, 2, 2, 2, 2, 1], [1, 1, 1, 1, 1, 1, 1, 0]),
        ([1, 2, 3], [0, 1, 2]),
        ([7], [0]),
    ],
)
def test_a_range_is_cut_between_different_values(values: list[float], groups: list[int]) -> None:
    assert cut_at_terciles(np.array(values, float)).tolist() == groups


@pytest.mark.parametrize(
    ("trials", "sizes"), [(20, [10, 10]), (21, [7, 7, 7]), (9, [9]), (25, [9, 8, 8])]
)
def test_blocks_are_even(trials: int, sizes: list[int]) -> None:
    assert np.bincount(split_evenly(trials, 10)).tolist() == sizes


def test_thousands_of_trials_are_computed_in_parts() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=3_000)  # two parts of permutations, and more
    groups = (values + random.normal(size=3_000) > 0).astype(np.int64)
    (share,) = compute_rank_shares(values, [groups], np.zeros(3_000, np.int64))
    assert share.p_value == 0.001
    assert share.low < share.share < share.high < share.low + 0.1
