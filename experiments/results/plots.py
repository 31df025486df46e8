"""Plots of a study, drawn with matplotlib.

Importing this module imports matplotlib, so `Study` imports it when a plot is asked for.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.search.objective import COSTS, Objective

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


class Study(Protocol):
    """What a plot needs to know of a study: see `assay.experiments.results.study.StudyResult`."""

    @property
    def study(self) -> str:
        """Its name."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """Such as "maximize val_accuracy"."""

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the searched hyperparameters."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Trials by state."""

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The best trial."""

    @property
    def pareto(self) -> Sequence[Mapping[str, Any]] | None:
        """The trials of the Pareto front."""

    @property
    def importances(self) -> Mapping[str, Mapping[str, float]]:
        """Shares by hyperparameter, by objective."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial."""

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch."""


# How all figures look, and how they are shown.


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
    """A figure that shows itself in every notebook, with no `%matplotlib inline` and no state of
    pyplot.
    """

    def _repr_svg_(self) -> str:
        with io.StringIO() as file:
            # Without a date the same picture is the same text, so that a notebook's history stays
            # readable.
            self.savefig(file, format="svg", metadata={"Date": None})
            return file.getvalue()


def blank(
    rows: int = 1, columns: int = 1, panel: tuple[float, float] = (7.0, 3.4)
) -> tuple[Picture, list[Axes]]:
    """Return an empty picture and its panels, row by row; `panel` is the width and height of one,
    in inches.
    """
    picture = Picture(figsize=(panel[0] * columns, panel[1] * rows), layout="constrained")
    panels = picture.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
    return picture, list(panels.flat)


def title(axes: Axes, text: str) -> None:
    """Set a panel's title; a study's name is text, even where its dollars would make it a
    formula.
    """
    axes.set_title(text, parse_math=False)


def label(metric: str) -> str:
    """Return a metric's name with its unit, if it has one."""
    unit = _UNITS.get(metric.removeprefix("val_"))
    return metric if unit is None else f"{metric} ({unit})"


def spans_decades(values: Sequence[Any]) -> bool:
    """Return whether numbers are better seen on a logarithmic axis: all above zero, the largest 100
    times the least.
    """
    return len(values) > 0 and min(values) > 0 and max(values) / min(values) >= _DECADES_SPAN


# The value of each trial, and the best so far.


def history(result: Study) -> Picture:
    """Draw the value of every trial that has one by the trial's number, a panel an objective."""
    objectives = [Objective.read(text) for text in result.objectives]
    picture, panels = blank(rows=len(objectives))
    for axes, objective in zip(panels, objectives, strict=True):
        _draw_history(axes, result.trials, objective)
    title(panels[0], f"{result.study}: every trial")
    panels[-1].set_xlabel("trial")
    return picture


def _draw_history(axes: Axes, trials: pd.DataFrame, objective: Objective) -> None:
    known = trials[trials[objective.metric].notna()]
    known = known.astype(
        {objective.metric: float}
    )  # whole numbers of which some are missing are a type of their own
    complete, pruned = known[known["state"] == "complete"], known[known["state"] == "pruned"]
    if len(pruned):
        axes.plot(
            pruned.index, pruned[objective.metric], "x", color=GREY, markersize=5, label="pruned"
        )
    axes.plot(
        complete.index, complete[objective.metric], "o", color=BLUE, markersize=5, label="complete"
    )
    values = complete[objective.metric].sort_index()
    best = values.cummax() if objective.direction == "maximize" else values.cummin()
    axes.step(best.index, best, where="post", color=VERMILLION, linewidth=1.5, label="best so far")
    axes.set_ylabel(label(objective.metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if spans_decades(list(known[objective.metric])):
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize="small")


# A metric by epoch, of all trials.


_EPOCHS_OTHERS = ("trial", "epoch", "seconds")


def curves(result: Study, metric: str | None = None) -> Picture:
    """Draw a metric by epoch, a line a trial, the best of them emphasised.

    Raises:
        RequestError: the metric is none that every epoch measures.
    """
    measured = [name for name in result.epochs if name not in _EPOCHS_OTHERS]
    chosen = check_name("metric of an epoch", metric or _default(result), measured)
    picture, (axes,) = blank()
    best_trials = _best_trials(result)
    for number, epochs in result.epochs.groupby("trial"):
        if number not in best_trials:
            axes.plot(epochs["epoch"], epochs[chosen], color=GREY, alpha=0.45, linewidth=0.9)
    for number in best_trials:
        epochs = result.epochs[result.epochs["trial"] == number]
        # A single epoch is a point, which a line alone would not show.
        marker = "o" if len(epochs) == 1 else None
        name = f"best (trial {number})" if len(best_trials) == 1 else None
        axes.plot(
            epochs["epoch"],
            epochs[chosen],
            color=VERMILLION,
            linewidth=2.2,
            marker=marker,
            label=name,
        )
    if len(best_trials) == 1:
        axes.legend(frameon=False, fontsize="small")
    title(axes, f"{result.study}: {chosen} by epoch")
    axes.set(xlabel="epoch", ylabel=label(chosen))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if spans_decades(list(result.epochs[chosen].dropna())):
        axes.set_yscale("log")
    return picture


def _default(result: Study) -> str:
    metrics = [Objective.read(text).metric for text in result.objectives]
    return next((metric for metric in metrics if metric not in COSTS), "val_loss")


def _best_trials(result: Study) -> list[int]:
    found = (
        result.pareto
        if result.pareto is not None
        else [result.best]
        if result.best is not None
        else []
    )
    return [int(leader["number"]) for leader in found]


# The value against each hyperparameter.


_COLUMNS = 3
_COLOURS = "cividis_r"
"""Later trials are darker; even to the eye, and to the colour-blind (Nunez, Anderton, Renslow
2018).
"""


def slices(result: Study, metric: str | None = None) -> Picture:
    """Draw a panel a hyperparameter: an objective's value of each complete or pruned trial against
    its setting.

    Raises:
        RequestError: the metric is no objective, or nothing was searched.
    """
    metrics = [Objective.read(text).metric for text in result.objectives]
    chosen = check_name("objective's metric", metric or metrics[0], metrics)
    names = result.searched
    if not names:
        raise RequestError(
            f"a figure of slices takes hyperparameters that were searched; {result.study} has none."
        )
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    picture, panels = blank(rows, columns, panel=(3.6, 3.0))
    known = result.trials[result.trials[chosen].notna()].astype({chosen: float})
    colours = Normalize(0, max(known.index, default=0))
    for axes, name in zip(panels, names, strict=False):
        _draw_slice(axes, known, name, chosen, colours)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(label(chosen))
    picture.colorbar(ScalarMappable(colours, _COLOURS), ax=panels[: len(names)], label="trial")
    picture.suptitle(f"{result.study}: {chosen} by hyperparameter", parse_math=False)
    return picture


def _draw_slice(
    axes: Axes, trials: pd.DataFrame, name: str, metric: str, colours: Normalize
) -> None:
    given = trials[trials[name].notna()]
    numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in given[name].tolist()
    )
    settings = given[name].tolist() if numeric else [str(value) for value in given[name]]
    axes.scatter(
        settings,
        given[metric],
        c=given.index,
        cmap=_COLOURS,
        norm=colours,
        s=26,
        edgecolors="white",
        linewidths=0.4,
    )
    axes.set_xlabel(name)
    if numeric and spans_decades(settings):
        axes.set_xscale("log")
    if spans_decades(given[metric].tolist()):
        axes.set_yscale("log")


# What mattered: how much of the differences between trials each hyperparameter explains.


def importances(result: Study) -> Picture:
    """Draw the importance of each hyperparameter as a bar, the greatest on top, a panel an
    objective.

    Raises:
        RequestError: there are too few trials to tell.
    """
    told = {objective: shares for objective, shares in result.importances.items() if shares}
    if not told:
        raise RequestError(
            f"importances take a few complete trials that differ; {result.study} has {result.counts['complete']}: "
            "sweep on."
        )
    most = max(map(len, told.values()))
    picture, panels = blank(rows=len(told), panel=(7.0, 1.2 + 0.35 * most))
    for axes, (objective, shares) in zip(panels, told.items(), strict=True):
        bars = axes.barh(list(shares), list(shares.values()), color=BLUE, height=0.65)
        axes.bar_label(
            bars, labels=[f"{share:.0%}" for share in shares.values()], padding=3, fontsize="small"
        )
        title(axes, f"{result.study}: what mattered for {objective}")
        axes.set_xlabel("importance (share of the whole)")
        axes.invert_yaxis()
        axes.set_xlim(0, max(shares.values()) * 1.12 or 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=False, axis="y")
    return picture


# Two objectives against each other, and the trials that no other dominates.


def front(result: Study, x: str | None = None, y: str | None = None) -> Picture:
    """Draw two objectives of every complete trial, the Pareto front emphasised.

    Args:
        result: a study of several objectives.
        x: the metric of the objective that runs to the right; None: the second.
        y: of the one that runs up; None: the first.

    Raises:
        RequestError: the study has one objective, or a metric is none of them.
    """
    if result.pareto is None:
        raise RequestError(
            f"a front takes several objectives; {result.study} has {result.objectives[0]!r} alone."
        )
    metrics = [Objective.read(text).metric for text in result.objectives]
    across = check_name("objective's metric", x or metrics[1], metrics)
    up = check_name("objective's metric", y or metrics[0], metrics)
    complete = result.trials[result.trials["state"] == "complete"].astype(
        {across: float, up: float}
    )
    on_front = complete.index.isin([leader["number"] for leader in result.pareto])
    picture, (axes,) = blank(panel=(7.0, 4.2))
    for rows, colour, size, name in (
        (complete[~on_front], GREY, 22, "dominated"),
        (complete[on_front].sort_values(across), VERMILLION, 46, "Pareto front"),
    ):
        axes.scatter(rows[across], rows[up], color=colour, s=size, label=name, zorder=3)
    for number, row in complete[on_front].iterrows():
        axes.annotate(
            str(number),
            (row[across], row[up]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize="small",
        )
    title(axes, f"{result.study}: trials of the front by number")
    axes.set(xlabel=label(across), ylabel=label(up))
    if spans_decades(complete[across].tolist()):
        axes.set_xscale("log")
    if spans_decades(complete[up].tolist()):
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize="small")
    return picture
