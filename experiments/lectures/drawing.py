"""Figures that several lecture experiments have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from assay.experiments.lectures.rules import Number, format_number
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    SERIES,
    drawing,
    label,
    legend_above,
    name_rows,
    new_figure,
    write_values,
)


def draw_rows(name: str, numbers: Mapping[str, Number], axis: str, caption: str) -> Picture:
    """Return a figure of numbers with their intervals, one below the other.

    Args:
        name: of its file.
        numbers: what is drawn, by name.
        axis: what they are, on the axis.
        caption: what the figure shows.
    """
    return Picture(
        name=name,
        caption=caption,
        alt="; ".join(f"{row}: {format_number(number)}" for row, number in numbers.items()),
        svg=_draw_rows(numbers, axis),
        numbers=Table(
            f"{axis.capitalize()}.",
            columns("", "#value"),
            [[row, format_number(number)] for row, number in numbers.items()],
        ),
    )


@drawing
def _draw_rows(numbers: Mapping[str, Number], axis: str) -> Figure:
    figure, (axes,) = new_figure(0.65 + 0.33 * len(numbers))
    for place, number in enumerate(numbers.values()):
        if number.low is not None and number.high is not None:
            ends = [number.low, number.high]
            axes.plot(ends, [place, place], color=BLUE, lw=2.4, solid_capstyle="round")
        axes.plot(number.value, place, "o", color=BLUE, ms=6.5, mec="white", mew=0.8)
    name_rows(axes, [label(name, 28) for name in numbers])
    write_values(axes, [f"{number.value:.4g}" for number in numbers.values()])
    axes.set_xlabel(axis)
    return figure


def plot_seeds(
    axes: Axes, curves: NDArray[np.float64], color: str, x: Sequence[float] | None = None
) -> None:
    """Draw curves (seeds, points) as their mean and a band from the lowest to the highest."""
    places = np.arange(1, curves.shape[1] + 1) if x is None else np.asarray(x)
    axes.fill_between(places, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, lw=0)
    axes.plot(places, curves.mean(axis=0), color=color, lw=1.7)


def draw_curves(
    name: str, panels: Mapping[str, Mapping[str, NDArray[np.float64]]], caption: str, alt: str
) -> Picture:
    """Return a figure of metrics by epoch: means over seeds, with bands.

    Args:
        name: of its file.
        panels: by what its axis is: curves (seeds, epochs) by name; at most four names in all.
        caption: what the figure shows.
        alt: what it says.
    """
    return Picture(name=name, caption=caption, alt=alt, svg=_draw_curves(panels))


@drawing
def _draw_curves(panels: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Figure:
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    colors = dict(zip(names, SERIES, strict=False))
    figure, drawn = new_figure(0.5 + 1.9 * len(panels), (1.0,) * len(panels))
    for axes, (axis, curves) in zip(drawn, panels.items(), strict=True):
        for name, curve in curves.items():
            plot_seeds(axes, curve, colors[name])
        axes.set_ylabel(axis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    drawn[-1].set_xlabel("epoch")
    legend_above(
        figure, [Line2D([], [], color=color, label=label(name)) for name, color in colors.items()]
    )
    return figure
