"""What half-planes can do on XOR, and regions that are put together from them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assay.experiments.data.sources.generated import GeneratedSource
from assay.experiments.data.sources.toy_sets import DISC_CENTRES, DISC_RADIUS, HALF_SPACES
from assay.experiments.lectures.topics.decision_regions import (
    is_in_diamond,
    is_in_polygons,
    is_separable,
    most_of_xor,
    share_outside,
)
from assay.experiments.lectures.two_layers import TwoLayers


def test_a_half_plane_gets_three_of_four_points_right() -> None:
    assert most_of_xor() == 3


def test_fourteen_of_sixteen_labelings_are_separable() -> None:
    corners = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)], np.float64)
    separable = [
        is_separable(corners, np.array(signs)) for signs in itertools.product((-1, 1), repeat=4)
    ]
    assert sum(separable) == 14


def test_an_and_of_four_half_planes_is_the_diamond() -> None:
    x = GeneratedSource("half-spaces").load().x_test.astype(np.float64)
    assert (is_in_diamond(x) == HALF_SPACES.contains(x)).all()


def test_polygons_have_the_areas_of_the_discs() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (200_000, 2))
    area = 16 * is_in_polygons(x).mean()
    assert area == pytest.approx(len(DISC_CENTRES) * np.pi * DISC_RADIUS**2, rel=0.02)
    assert is_in_polygons(np.array([*DISC_CENTRES, (0.0, -1.0)])).tolist() == [True] * 3 + [False]


def network(bias: float, sign: float) -> TwoLayers:
    """Return one whose region is the band -1 < x < 1, or what is outside of it."""
    return TwoLayers(
        kernel=np.array([[[20.0, -20.0], [0.0, 0.0]]]),
        bias=np.array([[[20.0, 20.0]]]),
        output_kernel=np.array([[[sign], [sign]]]),
        output_bias=np.array([[[bias]]]),
        unit="sigmoid",
    )


def test_midpoints_tell_whether_a_region_is_convex() -> None:
    assert share_outside(network(-1.5, 1.0), 2.0) == 0
    # Two points on different sides, half of all pairs, have their middle in the band.
    assert share_outside(network(1.5, -1.0), 2.0) == pytest.approx(0.5, abs=0.02)
    assert share_outside(network(-9.0, 1.0), 2.0) == 0
