"""What is said of every data set that is drawn on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from experiments.data.arrays import Array
from models.tasks import Task

Draw: TypeAlias = Callable[[int, float, np.random.Generator], tuple[Array, Array]]
"""Given how many points, the noise and what to draw with: x float32 (points, features), and y (points,), int32 labels
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
