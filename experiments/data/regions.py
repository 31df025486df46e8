"""Two-dimensional sets whose class is a region of the plane: label 1 inside, 0 in the rest of a square.

Half of the points are drawn inside and half in the rest, each uniformly, so the classes are balanced whatever their
areas. The class is decided first; then each coordinate gets Gaussian noise, by default none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.data.arrays import Array

MODES = ((0.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
MODE_RADIUS = 0.6


@dataclass(frozen=True)
class Region:
    """A part of the square [-half_width, half_width]^2.

    Attributes:
        half_width: of the square that points are drawn from.
        contains: whether points (n, 2) lie inside, as bool (n,).
    """

    half_width: float
    contains: Callable[[Array], Array]

    def draw(self, points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
        """Draw x float32 (points, 2) and labels int32 (points,); of an odd number, one more lies outside."""
        inside = points // 2
        x = np.concatenate([self._draw_where(False, points - inside, random), self._draw_where(True, inside, random)])
        y = np.repeat(np.array([0, 1], np.int32), [points - inside, inside])
        order = random.permutation(points)
        moved = x[order] + noise * random.standard_normal(x.shape)
        return moved.astype(np.float32), y[order]

    def _draw_where(self, inside: bool, points: int, random: np.random.Generator) -> Array:
        """Draw uniformly from the region, or from the rest, by throwing away what falls on the other side."""
        found = np.empty((0, 2), np.float32)
        while len(found) < points:
            # As float32, which is what is kept: a point next to the edge must not change sides afterwards.
            drawn = random.uniform(-self.half_width, self.half_width, (max(points, 100), 2)).astype(np.float32)
            found = np.concatenate([found, drawn[self.contains(drawn) == inside]])
        return found[:points]


def _in_first_or_third_quadrant(x: Array) -> Array:
    within: Array = x[:, 0] * x[:, 1] > 0
    return within


def _in_ring(x: Array) -> Array:
    norm = np.linalg.norm(x.astype(np.float64), axis=1)
    within: Array = (norm >= 1) & (norm <= 2)
    return within


def _in_a_mode(x: Array) -> Array:
    distance = np.linalg.norm(x[:, np.newaxis].astype(np.float64) - np.array(MODES), axis=2)
    within: Array = (distance <= MODE_RADIUS).any(axis=1)
    return within


def _in_half_spaces(x: Array) -> Array:
    """Whether x0 + x1 <= 1, x0 + x1 >= -1, x0 - x1 <= 1 and x0 - x1 >= -1."""
    wide = x.astype(np.float64)
    within: Array = (np.abs(wide[:, 0] + wide[:, 1]) <= 1) & (np.abs(wide[:, 0] - wide[:, 1]) <= 1)
    return within


# "Neural Networks", 'Hard cases for a linear classifier': the classes are the slide's, places and sizes of the three
# modes, which it only draws, are our own.
QUADRANTS = Region(1.0, _in_first_or_third_quadrant)
RING = Region(3.0, _in_ring)
THREE_MODES = Region(2.0, _in_a_mode)

# OSU ECE 5307 Unit 8, 'A two-stage approach to classification': one intersection of as many half-spaces as the slide's
# hidden layer has units; which four is our choice. They cut out a half of the square.
HALF_SPACES = Region(1.0, _in_half_spaces)
