"""Shares of the variance of ranks that groups of trials explain, with a test and intervals.

The share is epsilon squared, the correlation ratio corrected for its bias (Kelley, PNAS, 1935), of
the ranks of the trials' values: a Kruskal-Wallis analysis (JASA, 1952) as an effect size. Ranks
make one diverged trial count as one bad trial. The test permutes the trials within blocks
(Phipson and Smyth, SAGMB, 2010, for its p-value; Holm, Scandinavian Journal of Statistics, 1979,
for several hyperparameters at once). Intervals are percentile bootstrap intervals (Efron and
Tibshirani, 1993, chapter 13), shifted by what the bootstrap overestimates on average.

Only numbers: what the trials and the hyperparameters are is the matter of `importances`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

PERMUTATIONS = 999
RESAMPLES = 1_000
_PERMUTATIONS_PER_TEST = 40  # so that the smallest p-value passes Holm's first step at 5 %
_CHUNK_NUMBERS = 1_000_000  # of an array: 8 MB at a time, however many trials there are
_MEMBER_NUMBERS = 10_000_000  # of the array of members: 80 MB
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RankShare:
    """Share of the variance of ranks, not clipped to [0, 1].

    Attributes:
        share: epsilon squared.
        low: lower end of its 95 % interval.
        high: upper end.
        p_value: of the permutation test.
    """

    share: float
    low: float
    high: float
    p_value: float


def compute_rank_shares(
    values: Floats,
    groupings: Sequence[Integers],
    blocks: Integers,
    tests: int | None = None,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
) -> list[RankShare]:
    """Return the share of each grouping of the same trials.

    Args:
        values: value of each trial, which differ; infinite ones are the lowest or highest.
        groupings: for each hyperparameter the group of each trial, numbered from 0, none empty.
        blocks: block of each trial, numbered from 0: a permutation exchanges trials of one block.
        tests: number of tests that are judged together; None: one for each grouping.
        permutations: the fewest permutations.
        resamples: number of bootstrap samples.

    Returns:
        The shares in the order of the groupings. The same arguments give the same shares.

    Example:
        >>> values = np.arange(30.0)
        >>> (share,) = compute_rank_shares(values, [np.repeat([0, 1, 2], 10)], np.zeros(30, int))
        >>> round(share.share, 2), share.p_value
        (0.88, 0.001)
    """
    tests = len(groupings) if tests is None else tests
    count = max(permutations + 1, _PERMUTATIONS_PER_TEST * tests) - 1
    shares = []
    for batch in _batches(groupings, max(1, _MEMBER_NUMBERS // len(values))):
        members, starts = _indicate_members(batch)
        p_values = _permutation_p_values(rank(values), members, starts, blocks, count)
        whole = np.ones((1, len(values)))
        estimates = _epsilon_squared(whole, values, members, starts)[0]
        resampled = _bootstrap(values, members, starts, resamples)
        # The bootstrap overestimates small shares, which are of a square.
        shift = estimates - np.nanmean(resampled, axis=0)
        lows, highs = np.nanquantile(resampled, (0.025, 0.975), axis=0) + shift
        shares += [
            RankShare(*map(float, numbers))
            for numbers in zip(estimates, lows, highs, p_values, strict=True)
        ]
    return shares


def _batches(groupings: Sequence[Integers], most_groups: int) -> Iterator[list[Integers]]:
    """Yield consecutive groupings that together have so many groups at most, or one of more."""
    batch: list[Integers] = []
    groups = 0
    for grouping in groupings:
        added = int(grouping.max()) + 1
        if batch and groups + added > most_groups:
            yield batch
            batch, groups = [], 0
        batch.append(grouping)
        groups += added
    if batch:
        yield batch


def _indicate_members(groupings: Sequence[Integers]) -> tuple[Floats, Integers]:
    """Return 1 where a trial is in a group, (trials, all groups), and each grouping's first group.

    Args:
        groupings: the group of each trial, from 0.
    """
    sizes = np.array([int(grouping.max()) + 1 for grouping in groupings])
    starts = np.cumsum(sizes) - sizes
    members = np.zeros((len(groupings[0]), int(sizes.sum())))
    for start, grouping in zip(starts, groupings, strict=True):
        members[np.arange(len(grouping)), start + grouping] = 1.0
    return members, starts


def rank(values: Floats) -> Floats:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Return which tests reject, by Holm's procedure.

    Args:
        p_values: of the tests.
        level: probability that any test rejects wrongly.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejects = [False] * len(p_values)
    for step, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - step):
            break
        rejects[index] = True
    return rejects


def cut_at_terciles(values: Floats) -> Integers:
    """Return the third that each value is in, from 0.

    A cut is between two different values, as near as possible to a third of them. Fewer than three
    different values make fewer groups.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts)[:-1]  # number of values below each possible cut
    if len(below) == 0:
        return np.zeros(len(values), np.int64)
    cuts = np.unique([np.abs(below - len(values) * third / 3).argmin() for third in (1, 2)])
    # Values at place i are above cut c if i > c.
    groups: Integers = np.searchsorted(cuts, places, side="left").astype(np.int64)
    return groups


def split_evenly(trials: int, most: int) -> Integers:
    """Return the block of each trial, from 0: consecutive trials, equally many, at most `most`."""
    blocks = -(-trials // most)
    return (np.arange(trials) * blocks // trials).astype(np.int64)


def _permutation_p_values(
    ranks: Floats, members: Floats, starts: Integers, blocks: Integers, permutations: int
) -> Floats:
    """Return the p-value of each grouping.

    The statistic is the sum of squares between the groups, of ranks that are centred in their
    block: what differs between blocks, such as the progress of a search, is no effect.
    """
    counts = members.sum(axis=0)
    sizes = np.bincount(blocks)
    centred = ranks - (np.bincount(blocks, ranks) / sizes)[blocks]

    def between(rows: Floats) -> Floats:
        return np.add.reduceat((rows @ members) ** 2 / counts, starts, axis=1)

    observed = between(centred[np.newaxis])
    # Equal statistics are equal up to rounding.
    bound = observed - _ROUNDING * max(float(centred @ centred), 1.0)
    random = np.random.default_rng(0)
    reached = np.zeros(len(starts))
    for rows in _chunks(permutations, len(ranks)):
        permuted = np.repeat(centred[np.newaxis], rows, axis=0)
        for block in np.flatnonzero(sizes > 1):
            places = np.flatnonzero(blocks == block)
            permuted[:, places] = random.permuted(permuted[:, places], axis=1)
        reached += (between(permuted) >= bound).sum(axis=0)
    # The observed order is one of the permutations, so that no p-value is 0.
    return (1 + reached) / (1 + permutations)


def _bootstrap(values: Floats, members: Floats, starts: Integers, resamples: int) -> Floats:
    """Return the share of each grouping in each bootstrap sample, (samples, groupings)."""
    trials = len(values)
    random = np.random.default_rng(1)
    shares = []
    for rows in _chunks(resamples, trials):
        drawn = (
            random.integers(trials, size=(rows, trials)) + np.arange(rows)[:, np.newaxis] * trials
        )
        weights = np.bincount(drawn.ravel(), minlength=rows * trials).reshape(rows, trials)
        shares.append(_epsilon_squared(weights.astype(np.float64), values, members, starts))
    return np.concatenate(shares)


def _epsilon_squared(weights: Floats, values: Floats, members: Floats, starts: Integers) -> Floats:
    """Return the share of each grouping, (samples, groupings).

    Args:
        weights: how often each trial is in each sample, (samples, trials).
        values: value of each trial.
        members: 1 where a trial is in a group, (trials, groups of all groupings).
        starts: first group of each grouping.
    """
    trials = weights.sum(axis=1, keepdims=True)
    ranks = _weighted_ranks(weights, values) - (trials + 1) / 2  # their mean is 0
    weighted = weights * ranks
    total = (weighted * ranks).sum(axis=1, keepdims=True)
    counts = weights @ members
    squares = (weighted @ members) ** 2 / np.maximum(counts, 1)
    between = np.add.reduceat(squares, starts, axis=1)
    groups = np.add.reduceat((counts > 0).astype(np.float64), starts, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        within = (total - between) / (trials - groups)
        shares: Floats = (between - (groups - 1) * within) / total
    # A sample in which all values are equal has no share.
    return np.where(np.isfinite(shares), shares, np.nan)


def _weighted_ranks(weights: Floats, values: Floats) -> Floats:
    """Return the rank of each trial in samples that have it several times or not at all."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) == len(values):
        order = np.argsort(values)
        sorted_counts = weights[:, order]
    else:
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(distinct)))
        sorted_counts = np.add.reduceat(weights[:, order], starts, axis=1)
    by_value = np.cumsum(sorted_counts, axis=1) - (sorted_counts - 1) / 2
    ranks: Floats = by_value[:, places]
    return ranks


def _chunks(rows: int, columns: int) -> Iterator[int]:
    """Yield numbers of rows that together are `rows`, so that each part is a small array."""
    most = max(1, _CHUNK_NUMBERS // columns)
    for start in range(0, rows, most):
        yield min(most, rows - start)
