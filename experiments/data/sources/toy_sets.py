"""Definitions of the generated data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from assay.experiments.data.arrays import Array
from assay.models.tasks import Task

DrawPoints: TypeAlias = Callable[[int, float, np.random.Generator], tuple[Array, Array]]
"""Takes the number of points, the noise and a random generator. Returns x float32 (points,
features) and y (points,): int32 labels for classification, float32 values for regression.
"""


@dataclass(frozen=True)
class GeneratedSet:
    """A generated data set.

    Attributes:
        summary: one line for a list of data sets.
        task: the task that its targets are for.
        draw: draws its points.
        noise: default standard deviation of the noise.
        classes: names of the labels 0 and 1; empty for regression.
        needs_noise: whether every draw gives the same points if there is no noise.
    """

    summary: str
    task: Task
    draw: DrawPoints
    noise: float
    classes: tuple[str, ...] = ()
    needs_noise: bool = False


# Classification: regions of the plane.

DISC_CENTRES = ((0.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
DISC_RADIUS = 0.6


@dataclass(frozen=True)
class Region:
    """A region of the square [-half_width, half_width]^2: label 1 inside, 0 in the rest.

    Attributes:
        half_width: half the side of the square that points are drawn from.
        contains: returns whether points (n, 2) lie inside, as bool (n,).
    """

    half_width: float
    contains: Callable[[Array], Array]

    def draw(self, points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
        """Draw half of the points inside the region and half in the rest, each uniformly.

        The classes are balanced for a region of any area. The label is that of the point before
        Gaussian noise moves it.

        Returns:
            x float32 (points, 2) and labels int32 (points,); of an odd number of points, one more
            lies in the rest.
        """
        inside = points // 2
        x = np.concatenate(
            [
                self._draw_side(False, points - inside, random),
                self._draw_side(True, inside, random),
            ]
        )
        y = np.repeat(np.array([0, 1], np.int32), [points - inside, inside])
        # Shuffled, because the two sides are drawn one after the other.
        order = random.permutation(points)
        moved = x[order] + noise * random.standard_normal(x.shape)
        return moved.astype(np.float32), y[order]

    def _draw_side(self, inside: bool, points: int, random: np.random.Generator) -> Array:
        """Draw points uniformly from one side of the border, by rejection."""
        accepted = np.empty((0, 2), np.float32)
        while len(accepted) < points:
            candidates = random.uniform(-self.half_width, self.half_width, (max(points, 100), 2))
            # The region is tested on the float32 that is stored: rounding afterwards could move a
            # point across the border.
            stored = candidates.astype(np.float32)
            accepted = np.concatenate([accepted, stored[self.contains(stored) == inside]])
        return accepted[:points]


def _in_first_or_third_quadrant(x: Array) -> Array:
    inside: Array = x[:, 0] * x[:, 1] > 0
    return inside


def _in_ring(x: Array) -> Array:
    norm = np.linalg.norm(x.astype(np.float64), axis=1)
    inside: Array = (norm >= 1) & (norm <= 2)
    return inside


def _in_a_disc(x: Array) -> Array:
    offsets = x[:, np.newaxis].astype(np.float64) - np.array(DISC_CENTRES)
    inside: Array = (np.linalg.norm(offsets, axis=2) <= DISC_RADIUS).any(axis=1)
    return inside


def _in_half_spaces(x: Array) -> Array:
    """Return whether x0 + x1 <= 1, x0 + x1 >= -1, x0 - x1 <= 1 and x0 - x1 >= -1."""
    wide = x.astype(np.float64)
    inside: Array = (np.abs(wide[:, 0] + wide[:, 1]) <= 1) & (np.abs(wide[:, 0] - wide[:, 1]) <= 1)
    return inside


# The classes are those of "Neural Networks", 'Hard cases for a linear classifier'. The slide only
# sketches the three discs; their centres and radius are ours.
QUADRANTS = Region(1.0, _in_first_or_third_quadrant)
RING = Region(3.0, _in_ring)
THREE_DISCS = Region(2.0, _in_a_disc)

# OSU ECE 5307 Unit 8, 'A two-stage approach to classification': an intersection of half-spaces, as
# many as the slide's hidden layer has units. The four half-spaces are ours; they cut out half of
# the square.
HALF_SPACES = Region(1.0, _in_half_spaces)


# Classification: clusters, circles and moons.

CIRCLES_FACTOR = 0.5
"""Radius of the inner circle; the outer one's is 1. scikit-learn's default of 0.8 leaves no gap
between them at this noise.
"""

SKLEARN_SEEDS = 2**32
"""scikit-learn takes seeds below this number."""


def draw_xor(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw four Gaussian clusters around (+-1, +-1); label 1 where the centre's signs agree.

    `noise` is the standard deviation of a cluster in each coordinate; 0 gives the slide's four
    points. All clusters have the same number of points.

    Source: Columbia, Optimization II: Neural networks, 'Necessity of multiple layers (2)', the XOR
    problem.
    """
    centres = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    # Permuted and not drawn, so that the clusters have equal sizes.
    cluster = random.permutation(np.arange(points) % len(centres))
    x = centres[cluster] + noise * random.standard_normal((points, 2))
    return x.astype(np.float32), (cluster % 2 == 0).astype(np.int32)


def draw_circles(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw circles of radius 1 and 0.5 by `sklearn.datasets.make_circles`."""
    # Takes seconds to import, and only the process that prepares data needs it.
    from sklearn.datasets import make_circles

    seed = int(random.integers(SKLEARN_SEEDS))
    x, y = make_circles(points, noise=noise, factor=CIRCLES_FACTOR, random_state=seed)
    return x.astype(np.float32), y.astype(np.int32)


def draw_moons(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw two interleaving half circles by `sklearn.datasets.make_moons`."""
    # Takes seconds to import, and only the process that prepares data needs it.
    from sklearn.datasets import make_moons

    seed = int(random.integers(SKLEARN_SEEDS))
    x, y = make_moons(points, noise=noise, random_state=seed)
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
        summary="points of the plane: three discs against the rest; noise 0",
        task="classification",
        draw=THREE_DISCS.draw,
        noise=0.0,
        classes=("rest", "mode"),
    ),
    "half-spaces": GeneratedSet(
        summary="points of a square: inside four half-spaces (a diamond) against outside; noise 0",
        task="classification",
        draw=HALF_SPACES.draw,
        noise=0.0,
        classes=("outside", "inside"),
    ),
    "circles": GeneratedSet(
        summary="scikit-learn's two concentric circles; noise 0.1",
        task="classification",
        draw=draw_circles,
        noise=0.1,
        classes=("outer", "inner"),
        needs_noise=True,
    ),
    "moons": GeneratedSet(
        summary="scikit-learn's two interleaving half circles; noise 0.1",
        task="classification",
        draw=draw_moons,
        noise=0.1,
        classes=("upper", "lower"),
        needs_noise=True,
    ),
}
"""Classification sets by name, in the order of `assay list datasets`."""


# Regression: y = f(x) + noise, x uniform on [-1, 1]. The noise is Gaussian.
# The test targets have it too: no mean squared error falls below its variance.

ScalarFunction: TypeAlias = Callable[[Array], Array]


def line(x: Array) -> Array:
    """Return 2 x + 1, the most that a network with identity activations can learn.

    Source: Columbia, Optimization II: Neural networks, 'Power of non-linear activations'.
    """
    value: Array = 2 * x + 1
    return value


def sine(x: Array) -> Array:
    """Return sin(2 pi x): two periods on [-1, 1]."""
    value: Array = np.sin(2 * np.pi * x)
    return value


def step(x: Array) -> Array:
    """Return 1 where x >= 0, else 0; no continuous network fits it everywhere."""
    return np.where(x >= 0, 1.0, 0.0)


def absolute(x: Array) -> Array:
    """Return |x|, which two rectified linear units fit exactly."""
    value: Array = np.abs(x)
    return value


def runge(x: Array) -> Array:
    """Return 1 / (1 + 25 x^2).

    Polynomials through equidistant points diverge on it (Runge, 1901).
    """
    value: Array = 1 / (1 + 25 * x**2)
    return value


def _add_noise(function: ScalarFunction) -> DrawPoints:
    def draw(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
        # The function is evaluated at the float32 that is stored: beside the step, rounding
        # afterwards could put x on the other side.
        x = random.uniform(-1, 1, (points, 1)).astype(np.float32)
        y = function(x[:, 0].astype(np.float64)) + noise * random.standard_normal(points)
        return x, y.astype(np.float32)

    return draw


FUNCTIONS: Mapping[str, GeneratedSet] = {
    "line": GeneratedSet(
        summary="regression: 2 x + 1 on [-1, 1]; noise 0.1",
        task="regression",
        draw=_add_noise(line),
        noise=0.1,
    ),
    "sine": GeneratedSet(
        summary="regression: sin(2 pi x) on [-1, 1]; noise 0.1",
        task="regression",
        draw=_add_noise(sine),
        noise=0.1,
    ),
    "step": GeneratedSet(
        summary="regression: 1 where x >= 0, else 0, on [-1, 1]; noise 0.1",
        task="regression",
        draw=_add_noise(step),
        noise=0.1,
    ),
    "absolute": GeneratedSet(
        summary="regression: |x| on [-1, 1]; noise 0.05",
        task="regression",
        draw=_add_noise(absolute),
        noise=0.05,
    ),
    "runge": GeneratedSet(
        summary="regression: 1 / (1 + 25 x^2) on [-1, 1]; noise 0.05",
        task="regression",
        draw=_add_noise(runge),
        noise=0.05,
    ),
}
"""Regression sets by name, in the order of `assay list datasets`."""
