"""Functions of one number for regression, by name: y = f(x) + noise, x drawn uniformly from [-1, 1].

The noise is Gaussian; the test targets have it too, so no mean squared error below its variance is to be expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from experiments.data.arrays import Array
from experiments.data.generated_set import Draw, GeneratedSet

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
    """Return 1 where x >= 0, else 0: Heaviside's function, which no continuous network can meet everywhere."""
    return np.where(x >= 0, 1.0, 0.0)


def absolute(x: Array) -> Array:
    """Return |x|: what two rectified linear units give exactly."""
    value: Array = np.abs(x)
    return value


def runge(x: Array) -> Array:
    """Return 1 / (1 + 25 x^2), on which polynomials through equidistant points diverge (Runge, 1901)."""
    value: Array = 1 / (1 + 25 * x**2)
    return value


def _noisy(function: Function) -> Draw:
    def draw(points: int, noise: float, random: np.random.Generator) -> tuple[Array, Array]:
        # As float32, which is what is kept: the value must be that of the number kept, next to a step too.
        x = random.uniform(-1, 1, (points, 1)).astype(np.float32)
        y = function(x[:, 0].astype(np.float64)) + noise * random.standard_normal(points)
        return x, y.astype(np.float32)

    return draw


FUNCTIONS: Mapping[str, GeneratedSet] = {
    "line": GeneratedSet("regression: 2 x + 1 on [-1, 1]; noise 0.1", "regression", _noisy(line), 0.1),
    "sine": GeneratedSet("regression: sin(2 pi x) on [-1, 1]; noise 0.1", "regression", _noisy(sine), 0.1),
    "step": GeneratedSet("regression: 1 where x >= 0, else 0, on [-1, 1]; noise 0.1", "regression", _noisy(step), 0.1),
    "absolute": GeneratedSet("regression: |x| on [-1, 1]; noise 0.05", "regression", _noisy(absolute), 0.05),
    "runge": GeneratedSet("regression: 1 / (1 + 25 x^2) on [-1, 1]; noise 0.05", "regression", _noisy(runge), 0.05),
}
"""In the order to list them."""
