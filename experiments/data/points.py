"""Two-dimensional sets for classification, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.data.arrays import Array
from experiments.data.generated_set import GeneratedSet
from experiments.data.regions import HALF_SPACES, QUADRANTS, RING, THREE_MODES

CIRCLES_FACTOR = 0.5
"""The inner circle's radius, of the outer one's 1; scikit-learn's 0.8 leaves no gap between them at this noise."""

LARGEST_STATE = 2**32
"""One more than the largest seed that scikit-learn takes."""


def draw_xor(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw four Gaussian clusters around (+-1, +-1), equally many points each; label 1 where the centre's signs agree.

    Columbia, Optimization II: Neural networks, 'Necessity of multiple layers (2)', the XOR problem; `noise` is the
    clusters' standard deviation in each coordinate, 0 gives the slide's four points themselves.
    """
    centres = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    cluster = random.permutation(np.arange(points) % len(centres))
    x = centres[cluster] + noise * random.standard_normal((points, 2))
    return x.astype(np.float32), (cluster % 2 == 0).astype(np.int32)


def draw_circles(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw two circles around the origin, of radius 1 and 0.5, by `sklearn.datasets.make_circles`."""
    from sklearn.datasets import make_circles  # takes seconds to import, and only the child needs it

    x, y = make_circles(points, noise=noise, factor=CIRCLES_FACTOR, random_state=int(random.integers(LARGEST_STATE)))
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
