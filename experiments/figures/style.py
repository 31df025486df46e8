"""How all figures look, and how they are shown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): told apart by the colour-blind, and in print.
BLUE, VERMILLION, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#8C8C8C"
_DECADES_SPAN = 100.0
_UNITS = {
    "accuracy": "fraction",
    "epoch_seconds": "s",
    "train_seconds": "s",
    "seconds": "s",
    "peak_memory_bytes": "bytes",
    "parameters": "number of weights",
}


class Picture(Figure):
    """A figure that shows itself in every notebook, with no `%matplotlib inline` and no state of pyplot."""

    def _repr_svg_(self) -> str:
        with io.StringIO() as file:
            # Without a date the same picture is the same text, so that a notebook's history stays readable.
            self.savefig(file, format="svg", metadata={"Date": None})
            return file.getvalue()


def blank(rows: int = 1, columns: int = 1, panel: tuple[float, float] = (7.0, 3.4)) -> tuple[Picture, list[Axes]]:
    """Return an empty picture and its panels, row by row; `panel` is the width and height of one, in inches."""
    picture = Picture(figsize=(panel[0] * columns, panel[1] * rows), layout="constrained")
    panels = picture.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
    return picture, list(panels.flat)


def title(axes: Axes, text: str) -> None:
    """Set a panel's title; a study's name is text, even where its dollars would make it a formula."""
    axes.set_title(text, parse_math=False)


def label(metric: str) -> str:
    """Return a metric's name with its unit, if it has one."""
    unit = _UNITS.get(metric.removeprefix("val_"))
    return metric if unit is None else f"{metric} ({unit})"


def spans_decades(values: Sequence[Any]) -> bool:
    """Return whether numbers are better seen on a logarithmic axis: all above zero, the largest 100 times the least."""
    return len(values) > 0 and min(values) > 0 and max(values) / min(values) >= _DECADES_SPAN
