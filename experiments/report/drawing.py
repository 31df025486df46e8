"""What the figures of a report share: size, colors, axes, and SVG without dates and random ids."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Sequence
from typing import ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from assay.experiments.results.plots import usual_range
from assay.experiments.terminal_text import escape_line

# Okabe and Ito, "Color Universal Design" (2008): distinct to color-blind readers and in print.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, INK, GREY, PALE = "#CC79A7", "#56B4E9", "#1B1F24", "#6E7781", "#D0D7DE"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)

WIDTH_INCHES = 4.6
"""Of a figure. A phone shows it at 0.85 of its size, where 9 point text can still be read."""

_LONGEST_LABEL = 24
_SETTINGS = {
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "assay",  # ids follow from the content
}


_Arguments = ParamSpec("_Arguments")


def drawing(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, bytes]:
    """Make a function that returns a figure return its SVG, in the style of reports."""

    @functools.wraps(draw)
    def to_svg(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> bytes:
        with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings(), io.BytesIO() as file:
            # A letter that the font does not have is drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            canvas = FigureCanvasSVG(draw(*args, **kwargs))
            # The same figure is the same text: without a date, and with ids that follow from it.
            canvas.print_svg(file, metadata={"Date": None, "Creator": None})
            return file.getvalue()

    return to_svg


def new_figure(
    height: float, rows: int = 1, columns: int = 1, width: float = WIDTH_INCHES
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row.

    Args:
        height: in inches.
        rows: of panels.
        columns: of panels.
        width: in inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#EAEEF2", linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, list(panels.flat)


def label(text: object, most: int = _LONGEST_LABEL) -> str:
    """Return a text of a user as a label, shortened, with dollar signs as they are.

    Example:
        >>> label("a" * 30)
        'aaaaaaaaaaaaaaaaaaaaaaa…'
    """
    line = escape_line(str(text))
    line = line if len(line) <= most else f"{line[: most - 1]}…"
    # matplotlib reads what is between two dollar signs as a formula.
    return line.replace("$", r"\$")


def clip_axis(axes: Axes, values: Sequence[float], others: Sequence[float], which: str) -> int:
    """Limit an axis to the values that matter; return the number of values outside of it.

    Args:
        axes: the panel.
        values: values that set the limits, but for outliers among them; without any, `others` do.
        others: values that are drawn too.
        which: "x" or "y".
    """
    if not values and not others:
        return 0
    low, high = usual_range(values or others)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    low, high = low - margin, high + margin
    outside = sum(not low <= value <= high for value in (*values, *others))
    if outside:
        axes.set(**{f"{which}lim": (low, high)})
    return outside
