"""Subsets of the training data."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.data.split import select_subset
from assay.experiments.data.targets import Targets


def targets(*counts: int) -> Targets:
    """Return labels with these class counts, or ten regression targets without counts."""
    y = (
        np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        if counts
        else np.zeros((10, 1), np.float32)
    )
    return Targets(y, y, tuple(map(str, range(len(counts)))), len(counts) or 1)


@pytest.mark.parametrize(
    ("whole", "count", "kept"),
    [
        ((50, 50), 10, [5, 5]),
        ((90, 10), 10, [9, 1]),
        ((90, 10), 50, [45, 5]),
        ((98, 1, 1), 10, [8, 1, 1]),
        ((3, 3, 3), 3, [1, 1, 1]),
        ((70, 30), 100, [70, 30]),
    ],
)
def test_every_class_is_kept_in_proportion(
    whole: tuple[int, ...], count: int, kept: list[int]
) -> None:
    of = targets(*whole)
    training = np.random.default_rng(0).permutation(sum(whole))
    assert np.bincount(of.train[select_subset(training, count, of)]).tolist() == kept


@pytest.mark.parametrize("of", [targets(6, 4), targets()], ids=["labels", "numbers"])
@pytest.mark.parametrize("count", range(2, 11))
def test_subsets_keep_the_order_and_grow_by_one_example(of: Targets, count: int) -> None:
    training = np.array([7, 2, 9, 4, 0, 5, 1, 8, 3, 6])
    kept = select_subset(training, count, of).tolist()
    assert kept == [index for index in training if index in kept]
    assert set(select_subset(training, count - 1, of).tolist() if count > 2 else kept[:1]) < set(
        kept
    )
