"""Diagrams of networks: units as circles, weights as lines, layers as boxes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon
from numpy.typing import NDArray

from assay.experiments.report.page.drawing import BLUE, GREY, INK, PALE

_INPUT_COLOR = "#E6EEF5"


@dataclass(frozen=True)
class UnitColumn:
    """The circles of a layer.

    Attributes:
        x: where the column stands.
        y: where each circle stands, from top to bottom.
        is_cut: whether it stands for more units than it has circles.
    """

    x: float
    y: NDArray[np.float64]
    is_cut: bool


def place_units(sizes: Sequence[int], width: float, most: int = 6) -> list[UnitColumn]:
    """Return a column of circles for each layer, centred at a height of 0, one unit apart.

    Args:
        sizes: number of units of each layer, the inputs first.
        width: distance of two columns.
        most: number of circles of a column at most; a longer one has a gap in its middle.
    """
    placed = []
    for index, size in enumerate(sizes):
        shown = min(size, most)
        y = (shown - 1) / 2 - np.arange(shown, dtype=np.float64)
        is_cut = size > most
        if is_cut:
            half = shown // 2
            y[:half] += 0.5
            y[half:] -= 0.5
        placed.append(UnitColumn(index * width, y, is_cut))
    return placed


def draw_units(axes: Axes, columns: Sequence[UnitColumn], radius: float = 0.3) -> None:
    """Draw the circles of all layers, and three dots where a column is cut."""
    for index, column in enumerate(columns):
        for y in column.y:
            color = _INPUT_COLOR if index == 0 else "white"
            edge = GREY if index == 0 else BLUE
            axes.add_patch(Circle((column.x, y), radius, fc=color, ec=edge, lw=1.1, zorder=3))
        if column.is_cut:
            axes.plot([column.x] * 3, [-0.25, 0.0, 0.25], "o", color=GREY, ms=2.2, mew=0, zorder=3)


def draw_weights(
    axes: Axes, columns: Sequence[UnitColumn], color: str = PALE, width: float = 0.8
) -> None:
    """Draw a line for each weight between the circles of two layers."""
    for left, right in itertools.pairwise(columns):
        for start in left.y:
            for end in right.y:
                axes.plot([left.x, right.x], [start, end], color=color, lw=width, zorder=1)


def draw_box(
    axes: Axes, corner: tuple[float, float], height: float, width: float, depth: float, color: str
) -> None:
    """Draw a box in oblique projection; its depth goes to the upper right.

    Args:
        axes: the panel.
        corner: lower left corner of its front.
        height: of its front.
        width: of its front.
        depth: how far its back is shifted, to the right and up.
        color: of its front; the sides are paler.
    """
    x, y = corner
    front = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    top = [
        (x, y + height),
        (x + width, y + height),
        (x + width + depth, y + height + depth),
        (x + depth, y + height + depth),
    ]
    side = [
        (x + width, y),
        (x + width + depth, y + depth),
        (x + width + depth, y + height + depth),
        (x + width, y + height),
    ]
    for points, alpha in ((front, 0.85), (top, 0.35), (side, 0.55)):
        axes.add_patch(Polygon(points, closed=True, fc=color, alpha=alpha, ec="none"))
        axes.add_patch(Polygon(points, closed=True, fc="none", ec=INK, lw=0.5))


def hide_axes(axes: Axes) -> None:
    """Leave a panel without axes and grid, with the same scale in both directions."""
    axes.set_axis_off()
    axes.set_aspect("equal")
