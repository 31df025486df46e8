"""Order of the examples in an epoch."""

from __future__ import annotations

import numpy as np

from assay.models.training.fit import batch_order


def test_the_order_is_a_permutation_determined_by_seed_and_epoch() -> None:
    order = batch_order(5, 0, 1000)
    assert sorted(order) == list(range(1000))
    assert np.array_equal(order, batch_order(5, 0, 1000))
    assert not np.array_equal(order, batch_order(5, 1, 1000))
    assert not np.array_equal(order, batch_order(6, 0, 1000))
