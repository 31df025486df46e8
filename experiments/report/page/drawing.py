"""What the figures of a report share: size, colors, axes, and SVG without dates and random ids."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from assay.experiments.results.plots import usual_range
from assay.experiments.terminal_text import escape_line

# Okabe and Ito, "Color Universal Design" (2008): distinct to color-blind readers and in print.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, INK, GREY, PALE = "#CC79A7", "#56B4E9", "#1B1F24", "#6E7781", "#C9D1D9"
SERIES = (BLUE, ORANGE, PURPLE, INK)
"""Of lines that are told apart, and no more: green is for better and vermillion for worse."""
VERDICT_COLORS = {"leader": BLUE, "better": GREEN, "worse": VERMILLION}
"""Other verdicts are grey: nothing is known."""

WIDTH_INCHES = 4.4
"""Of a figure. A phone shows it at 0.85 of its size, where text of 9.5 points can be read."""

MOST_VECTORS = 300
"""Of more marks, the SVG holds an image, because each mark takes about 100 bytes."""

_RASTER_DPI = 200
_LONGEST_LABEL = 24
_GRID = "#E4E9ED"
_FONTS = "Helvetica Neue,Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
_SETTINGS: dict[Any, Any] = {
    "font.size": 9.5,
    # The widest of the fonts in `_FONTS`: what it leaves room for fits in the others too.
    "font.family": ["DejaVu Sans"],
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    # Letters as text: a tenth of the bytes of their outlines, and any letter can be drawn.
    "svg.fonttype": "none",
    "svg.hashsalt": "assay",  # ids follow from the content
}

_Arguments = ParamSpec("_Arguments")


def drawing(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, bytes]:
    """Make a function that returns a figure return its SVG, in the style of reports.

    The same figure is the same bytes: it has no date, and its ids follow from its content.
    """

    @functools.wraps(draw)
    def to_svg(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> bytes:
        with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings(), io.BytesIO() as file:
            # The letter is text in the SVG, so the font of the reader decides.
            warnings.filterwarnings("ignore", message="(?s)Glyph .* missing from")
            canvas = FigureCanvasSVG(draw(*args, **kwargs))
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            canvas.print_figure(file, format="svg", dpi=_RASTER_DPI, metadata=nothing)
            return _shorten(file.getvalue().decode()).encode()

    return to_svg


# Of XML that matplotlib wrote, "<" begins a tag and nothing else: in texts and values it is "&lt;".
_TAG = re.compile(r"<[a-z][^<>]*>")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_NO_ROTATION = re.compile(r' transform="rotate\(-0 [^"]*"')


def _shorten(svg: str) -> str:
    """Return an SVG without what no reader sees: digits, repeated fonts, the document type."""
    svg = svg[svg.index("<svg") :].replace("*{stroke", f"text{{font-family:{_FONTS}}}*{{stroke", 1)
    return _TAG.sub(lambda tag: _shorten_tag(tag[0]), svg)


def _shorten_tag(tag: str) -> str:
    tag = _NO_ROTATION.sub("", _FONT.sub("", " ".join(tag.split())))
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}", tag)


def new_figure(
    height: float, ratios: Sequence[float] = (1.0,), width: float = WIDTH_INCHES
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, one below the other.

    Args:
        height: in inches.
        ratios: of the heights of the panels.
        width: in inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=_GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=3)
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


def clip_axis(
    axes: Axes,
    values: Sequence[float],
    others: Sequence[float],
    which: str,
    keep: Sequence[float] = (),
) -> int:
    """Limit an axis to the values that matter; return the number of values outside of it.

    Args:
        axes: the panel.
        values: values that set the limits, but for outliers among them; without any, `others` do.
        others: values that are drawn too.
        which: "x" or "y".
        keep: values that must be inside, such as that of the best trial.
    """
    if not values and not others:
        return 0
    low, high = usual_range(values or others)
    low, high = min([low, *keep]), max([high, *keep])
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    low, high = low - margin, high + margin
    outside = sum(not low <= value <= high for value in (*values, *others))
    if outside:
        axes.set(**{f"{which}lim": (low, high)})
    return outside


def mark_outside(axes: Axes, across: Sequence[float], values: Sequence[float]) -> None:
    """Draw a triangle at the edge for each value below or above a panel, pointing to it.

    Args:
        axes: the panel, with its limits set.
        across: where each value stands on the x axis.
        values: the values, on the y axis.
    """
    low, high = axes.get_ylim()
    for edge, marker, shown in (
        (0.02, "v", [x for x, value in zip(across, values, strict=True) if value < low]),
        (0.98, "^", [x for x, value in zip(across, values, strict=True) if value > high]),
    ):
        # In fractions of the height, so that the marker is whole.
        transform = axes.get_xaxis_transform()
        axes.plot(
            shown,
            [edge] * len(shown),
            marker,
            color=GREY,
            ms=4.5,
            mew=0,
            transform=transform,
            rasterized=len(shown) > MOST_VECTORS,
        )


def name_rows(axes: Axes, names: Sequence[str], strong: Sequence[bool] = ()) -> None:
    """Write the names of rows to the left, the first on top; grid and ticks are of the values."""
    axes.set_yticks(range(len(names)), names)
    for text, is_strong in zip(axes.get_yticklabels(), strong, strict=False):
        if is_strong:
            text.set_fontweight("bold")
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))


def write_values(axes: Axes, values: Sequence[str]) -> None:
    """Write a number to the right of each row."""
    for place, value in enumerate(values):
        axes.annotate(
            value,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            ha="left",
            color=INK,
        )


def legend_above(figure: Figure, handles: Sequence[Artist], columns: int = 4) -> None:
    """Write a legend above the panels."""
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=min(len(handles), columns),
        handlelength=1.3,
        columnspacing=1.2,
        handletextpad=0.5,
        borderpad=0.0,
    )
