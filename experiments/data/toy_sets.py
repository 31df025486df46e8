"""What is said of every data set that is drawn on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from assay.experiments.data.arrays import Array
from assay.models.tasks import Task

Draw: TypeAlias = Callable[[int, float, np.random.Generator], tuple[Array, Array]]
"""Given how many points, the noise and what to draw with: x float32 (points, features), and y
(points,), int32 labels
for classification, float32 values for regression."""


@dataclass(frozen=True)
class GeneratedSet:
    """A data set that is drawn on request.

    Attributes:
        summary: one line for a list of data sets.
        task: that its y is for.
        draw: draws its points.
        noise: a standard deviation, unless the experiment says another.
        classes: names of the labels 0 and 1; none for regression.
        needs_noise: whether without noise all draws are the same points.
    """

    summary: str
    task: Task
    draw: Draw
    noise: float
    classes: tuple[str, ...] = ()
    needs_noise: bool = False


# Functions of one number for regression, by name: y = f(x) + noise, x drawn uniformly from [-1, 1].
#
# The noise is Gaussian; the test targets have it too, so no mean squared error below its variance
# is to be expected.


Function = Callable[[Array], Array]


def line(x: Array) -> Array:
    """Return 2 x + 1: what a network of identity activations can learn, and all that it can.

    Columbia, Optimization II: Neural networks, 'Power of non-linear activations'.
    """
    value: Array = 2 * x + 1
    return value


def sine(x: Array) -> Array:
    """Return sin(2 pi x): two periods."""
    value: Array = np.sin(2 * np.pi * x)
    return value


def step(x: Array) -> Array:
    """Return 1 where x >= 0, else 0: Heaviside's function, which no continuous network can meet
    everywhere.
    """
    return np.where(x >= 0, 1.0, 0.0)


def absolute(x: Array) -> Array:
    """Return |x|: what two rectified linear units give exactly."""
    value: Array = np.abs(x)
    return value


def runge(x: Array) -> Array:
    """Return 1 / (1 + 25 x^2), on which polynomials through equidistant points diverge (Runge,
    1901).
    """
    value: Array = 1 / (1 + 25 * x**2)
    return value


def _noisy(function: Function) -> Draw:
    def draw(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
        # As float32, which is what is kept: the value must be that of the number kept, next to a
        # step too.
        x = random.uniform(-1, 1, (points, 1)).astype(np.float32)
        y = function(x[:, 0].astype(np.float64)) + noise * random.standard_normal(points)
        return x, y.astype(np.float32)

    return draw


FUNCTIONS: Mapping[str, GeneratedSet] = {
    "line": GeneratedSet(
        "regression: 2 x + 1 on [-1, 1]; noise 0.1", "regression", _noisy(line), 0.1
    ),
    "sine": GeneratedSet(
        "regression: sin(2 pi x) on [-1, 1]; noise 0.1", "regression", _noisy(sine), 0.1
    ),
    "step": GeneratedSet(
        "regression: 1 where x >= 0, else 0, on [-1, 1]; noise 0.1", "regression", _noisy(step), 0.1
    ),
    "absolute": GeneratedSet(
        "regression: |x| on [-1, 1]; noise 0.05", "regression", _noisy(absolute), 0.05
    ),
    "runge": GeneratedSet(
        "regression: 1 / (1 + 25 x^2) on [-1, 1]; noise 0.05", "regression", _noisy(runge), 0.05
    ),
}
"""In the order to list them."""


# Two-dimensional sets whose class is a region of the plane: label 1 inside, 0 in the rest of a
# square.
#
# Half of the points are drawn inside and half in the rest, each uniformly, so the classes are
# balanced whatever their areas. The class is decided first; then each coordinate gets Gaussian
# noise, by default none.


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
        """Draw x float32 (points, 2) and labels int32 (points,); of an odd number, one more lies
        outside.
        """
        inside = points // 2
        x = np.concatenate(
            [
                self._draw_where(False, points - inside, random),
                self._draw_where(True, inside, random),
            ]
        )
        y = np.repeat(np.array([0, 1], np.int32), [points - inside, inside])
        order = random.permutation(points)
        moved = x[order] + noise * random.standard_normal(x.shape)
        return moved.astype(np.float32), y[order]

    def _draw_where(self, inside: bool, points: int, random: np.random.Generator) -> Array:
        """Draw uniformly from the region, or from the rest, by throwing away what falls on the
        other side.
        """
        found = np.empty((0, 2), np.float32)
        while len(found) < points:
            # As float32, which is what is kept: a point next to the edge must not change sides
            # afterwards.
            drawn = random.uniform(-self.half_width, self.half_width, (max(points, 100), 2)).astype(
                np.float32
            )
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


# "Neural Networks", 'Hard cases for a linear classifier': the classes are the slide's, places and
# sizes of the three modes, which it only draws, are our own.
QUADRANTS = Region(1.0, _in_first_or_third_quadrant)
RING = Region(3.0, _in_ring)
THREE_MODES = Region(2.0, _in_a_mode)

# OSU ECE 5307 Unit 8, 'A two-stage approach to classification': one intersection of as many
# half-spaces as the slide's hidden layer has units; which four is our choice. They cut out a half
# of the square.
HALF_SPACES = Region(1.0, _in_half_spaces)


# Two-dimensional sets for classification, by name.


CIRCLES_FACTOR = 0.5
"""The inner circle's radius, of the outer one's 1; scikit-learn's 0.8 leaves no gap between them at
this noise.
"""

LARGEST_STATE = 2**32
"""One more than the largest seed that scikit-learn takes."""


def draw_xor(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw four Gaussian clusters around (+-1, +-1), equally many points each; label 1 where the
    centre's signs agree.

    Columbia, Optimization II: Neural networks, 'Necessity of multiple layers (2)', the XOR problem;
    `noise` is the clusters' standard deviation in each coordinate, 0 gives the slide's four points
    themselves.
    """
    centres = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    cluster = random.permutation(np.arange(points) % len(centres))
    x = centres[cluster] + noise * random.standard_normal((points, 2))
    return x.astype(np.float32), (cluster % 2 == 0).astype(np.int32)


def draw_circles(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw two circles around the origin, of radius 1 and 0.5, by
    `sklearn.datasets.make_circles`.
    """
    from sklearn.datasets import (
        make_circles,
    )  # takes seconds to import, and only the child needs it

    x, y = make_circles(
        points, noise=noise, factor=CIRCLES_FACTOR, random_state=int(random.integers(LARGEST_STATE))
    )
    return x.astype(np.float32), y.astype(np.int32)


def draw_moons(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw two half circles that reach into each other, by `sklearn.datasets.make_moons`."""
    from sklearn.datasets import make_moons  # takes seconds to import, and only the child needs it

    x, y = make_moons(points, noise=noise, random_state=int(random.integers(LARGEST_STATE)))
    return x.astype(np.float32), y.astype(np.int32)


POINTS: Mapping[str, GeneratedSet] = {
    "xor": GeneratedSet(
        summary="four Gaussian clusters at (+-1, +-1), class by equal signs; noise 0.3 (spread)",
        task="classification",
        draw=draw_xor,
        noise=0.3,
        classes=("unlike signs", "equal signs"),
    ),
    "quadrants": GeneratedSet(
        summary="points of a square: first and third quadrant against second and fourth; noise 0",
        task="classification",
        draw=QUADRANTS.draw,
        noise=0.0,
        classes=("second or fourth", "first or third"),
    ),
    "ring": GeneratedSet(
        summary="points of the plane: 1 <= norm <= 2 against the rest; noise 0",
        task="classification",
        draw=RING.draw,
        noise=0.0,
        classes=("rest", "ring"),
    ),
    "modes": GeneratedSet(
        summary="points of the plane: three discs against everything else; noise 0",
        task="classification",
        draw=THREE_MODES.draw,
        noise=0.0,
        classes=("rest", "mode"),
    ),
    "half-spaces": GeneratedSet(
        summary="points of a square: inside four half-spaces, a diamond, against outside; noise 0",
        task="classification",
        draw=HALF_SPACES.draw,
        noise=0.0,
        classes=("outside", "inside"),
    ),
    "circles": GeneratedSet(
        summary="scikit-learn's two circles, one in the other; noise 0.1",
        task="classification",
        draw=draw_circles,
        noise=0.1,
        classes=("outer", "inner"),
        needs_noise=True,
    ),
    "moons": GeneratedSet(
        summary="scikit-learn's two half circles that reach into each other; noise 0.1",
        task="classification",
        draw=draw_moons,
        noise=0.1,
        classes=("upper", "lower"),
        needs_noise=True,
    ),
}
"""In the order to list them."""
