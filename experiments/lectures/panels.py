"""Grids of small panels, and functions of the plane as images in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from assay.experiments.report.page.drawing import BLUE, INK, ORANGE, WIDTH_INCHES

Array: TypeAlias = NDArray[np.float64]

REGIONS = LinearSegmentedColormap.from_list("regions", ["#9EC9E6", "#FFFFFF", "#F5CE7F"])
"""Blue for the first class and orange for the second, pale, so that points can be seen on it."""

_GRID_POINTS = 81


def new_panels(rows: int, columns: int, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Return an empty figure and its panels by row and column.

    Args:
        rows: number of rows.
        columns: number of columns.
        height: in inches.
    """
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.tick_params(length=2, labelsize=7.5, pad=2)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, [list(row) for row in panels]


def grid_points(half_width: float) -> Array:
    """Return points (n, 2) of a square grid over [-half_width, half_width]^2, row by row."""
    ends = np.linspace(-half_width, half_width, _GRID_POINTS)
    across, up = np.meshgrid(ends, ends)
    return np.column_stack([across.ravel(), up.ravel()])


def draw_plane(
    axes: Axes,
    function: Callable[[Array], Array],
    half_width: float,
    border: float | None = 0.5,
    ends: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Draw a function of the plane as an image, without ticks.

    Args:
        axes: the panel.
        function: takes points (n, 2) and returns values (n,).
        half_width: the square [-half_width, half_width]^2 is drawn.
        border: where the function has this value, a line is drawn; None for no line.
        ends: the values with the colors of the first and the second class.
    """
    values = function(grid_points(half_width)).reshape(_GRID_POINTS, _GRID_POINTS)
    extent = (-half_width, half_width, -half_width, half_width)
    axes.imshow(
        values,
        cmap=REGIONS,
        vmin=ends[0],
        vmax=ends[1],
        origin="lower",
        extent=extent,
        interpolation="nearest",
    )
    if border is not None and values.min() < border < values.max():
        axes.contour(values, [border], colors=INK, linewidths=1.0, origin="lower", extent=extent)
    axes.set(xticks=[], yticks=[])


def draw_points(axes: Axes, x: Array, y: Array, most: int = 200) -> None:
    """Draw the first labelled points (n, 2) as dots: blue for 0, orange for 1."""
    for label, color in ((0, BLUE), (1, ORANGE)):
        chosen = x[:most][y[:most] == label]
        axes.plot(*chosen.T, ".", color=color, ms=2.6, mew=0, rasterized=True)
