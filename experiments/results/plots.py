"""Plots of a study, drawn with matplotlib.

The functions are those of `StudyResult`, which imports this module when a plot is drawn: importing
matplotlib takes a second.
"""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.search.importances import ImportanceReport, get_evaluator
from assay.search.objective import COSTS, Objective

if TYPE_CHECKING:
    import pandas as pd


class PlottedStudy(Protocol):
    """The attributes of `StudyResult` that plots use.

    A protocol, because `StudyResult` imports this module: naming the class would be a circle.
    """

    @property
    def study(self) -> str:
        """Name of the study."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """What was optimized, such as "maximize val_accuracy"."""

    @property
    def searched(self) -> tuple[str, ...]:
        """Names of the searched hyperparameters."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of trials by state."""

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The best trial; None with several objectives, or without a complete trial."""

    @property
    def pareto(self) -> Sequence[Mapping[str, Any]] | None:
        """The trials of the Pareto front; None with one objective."""

    @property
    def importance(self) -> Mapping[str, ImportanceReport]:
        """Importance of the hyperparameters, by objective."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial."""

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch."""


# Okabe and Ito, "Color Universal Design" (2008): distinct to color-blind readers and in print.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#8C8C8C"
# Later trials are darker. Cividis is perceptually uniform, for color-blind readers too (Nunez,
# Anderton and Renslow, PLOS ONE, 2018).
_TRIAL_COLORS = "cividis_r"
_MIN_LOG_RATIO = 100.0
_SLICE_COLUMNS = 3
_MARGIN = 0.05  # of an axis, as matplotlib's own
_FAR_OUT = 3.0
_MIN_QUARTILE_VALUES = 5
_MIN_USUAL_SHARE = 0.5  # of the axis: below it, outliers are left out
# Of curves: how a line is drawn, and the mark at its end. Others are of running trials.
_STATE_ENDS = {"pruned": "x", "failed": "+"}
_STATE_LINES = {"complete": "-", "pruned": ":", "failed": "--"}
_NO_METRICS = ("trial", "epoch", "seconds")
_METRIC_UNITS = {
    "accuracy": "fraction",
    "epoch_seconds": "s",
    "train_seconds": "s",
    "seconds": "s",
    "peak_memory_bytes": "bytes",
    "parameters": "number of weights",
}


class NotebookFigure(Figure):
    """A figure that every notebook shows without pyplot."""

    def _repr_svg_(self) -> str:
        with io.StringIO() as file:
            # Without a date, the same plot is the same text: a notebook under version control
            # changes only with its plots.
            self.savefig(file, format="svg", metadata={"Date": None})
            return file.getvalue()


def plot_history(study: PlottedStudy) -> NotebookFigure:
    """Plot the value of each trial and the best so far."""
    objectives = [Objective.read(text) for text in study.objectives]
    figure, panels = _create_figure(rows=len(objectives))
    for axes, objective in zip(panels, objectives, strict=True):
        _draw_history(axes, study.trials, objective)
    panels[0].set_title(_escape(f"{study.study}: every trial"))
    panels[-1].set_xlabel("trial")
    return figure


def _draw_history(axes: Axes, trials: pd.DataFrame, objective: Objective) -> None:
    metric = objective.metric
    # As floats: matplotlib does not draw Int64 columns with missing values.
    measured = trials[trials[metric].notna()].astype({metric: float})
    complete = measured[measured["state"] == "complete"]
    pruned = measured[measured["state"] == "pruned"]
    if len(pruned):
        axes.plot(pruned.index, pruned[metric], "x", color=GREY, markersize=5, label="pruned")
    axes.plot(complete.index, complete[metric], "o", color=BLUE, markersize=5, label="complete")
    values = complete[metric].sort_index()
    best = values.cummax() if objective.direction == "maximize" else values.cummin()
    axes.step(best.index, best, where="post", color=VERMILLION, linewidth=1.5, label="best so far")
    axes.set_ylabel(_axis_label(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _fit_axis(axes, "y", _points(measured[metric]), keep=best.tolist()[-1:])
    axes.legend(frameon=False, fontsize="small")


def plot_curves(study: PlottedStudy, metric: str | None = None) -> NotebookFigure:
    """Plot a metric by epoch, one line per trial.

    Raises:
        RequestError: the metric is not measured every epoch.
    """
    metrics = [name for name in study.epochs if name not in _NO_METRICS]
    chosen = check_name("metric of an epoch", metric or _default_curve_metric(study), metrics)
    figure, (axes,) = _create_figure()
    best_trials = _best_trial_numbers(study)
    curves = {int(number): epochs for number, epochs in study.epochs.groupby("trial")}
    labelled = set()
    for number, epochs in curves.items():
        if number not in best_trials:
            state = _state_of(study, number)
            axes.plot(
                epochs["epoch"],
                epochs[chosen],
                color=GREY,
                alpha=0.45 if state == "complete" else 0.7,
                linewidth=0.9,
                linestyle=_STATE_LINES.get(state, "-."),
                marker=_STATE_ENDS.get(state),
                markersize=5,
                markevery=[-1],
                label=None if state in labelled else _escape(state),
            )
            labelled.add(state)
    for number in best_trials:
        epochs = study.epochs[study.epochs["trial"] == number]
        # A line through a single epoch would be invisible.
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
    if labelled or len(best_trials) == 1:
        axes.legend(frameon=False, fontsize="small")
    axes.set_title(_escape(f"{study.study}: {chosen} by epoch"))
    axes.set(xlabel="epoch", ylabel=_axis_label(chosen))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    ranges = {number: _range_of(epochs[chosen]) for number, epochs in curves.items()}
    keep = [end for number in best_trials for end in ranges.get(number, ())]
    _fit_axis(axes, "y", list(ranges.values()), keep)
    return figure


def _state_of(study: PlottedStudy, number: int) -> str:
    """Return the state of a trial in a word: "failed" for any reason."""
    # A trial may have begun after the table was read.
    state = study.trials["state"].get(number, "running")
    return str(state).partition(":")[0]


def _range_of(curve: pd.Series[float]) -> tuple[float, ...]:
    """Return the lowest and the highest value; empty without any."""
    present = curve.dropna()
    return (float(present.min()), float(present.max())) if len(present) else ()


def _default_curve_metric(study: PlottedStudy) -> str:
    metrics = [Objective.read(text).metric for text in study.objectives]
    return next((metric for metric in metrics if metric not in COSTS), "val_loss")


def _best_trial_numbers(study: PlottedStudy) -> list[int]:
    if study.pareto is not None:
        return [int(trial["number"]) for trial in study.pareto]
    return [] if study.best is None else [int(study.best["number"])]


def plot_slices(study: PlottedStudy, metric: str | None = None) -> NotebookFigure:
    """Plot an objective against each hyperparameter.

    Raises:
        RequestError: the metric is not one of an objective, or nothing was searched.
    """
    metrics = [Objective.read(text).metric for text in study.objectives]
    chosen = check_name("objective's metric", metric or metrics[0], metrics)
    names = study.searched
    if not names:
        raise RequestError(
            f"a plot of slices takes searched hyperparameters; {study.study} has none."
        )
    columns = min(_SLICE_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure, panels = _create_figure(rows, columns, panel_inches=(3.6, 3.0))
    measured = study.trials[study.trials[chosen].notna()].astype({chosen: float})
    colors = Normalize(0, max(measured.index, default=0))
    objective = Objective.read(study.objectives[metrics.index(chosen)])
    best_end = -1 if objective.direction == "maximize" else 0
    for axes, name in zip(panels, names, strict=False):
        _draw_slice(axes, measured, name, chosen, colors, best_end)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(_axis_label(chosen))
    figure.colorbar(ScalarMappable(colors, _TRIAL_COLORS), ax=panels[: len(names)], label="trial")
    if (measured["state"] == "pruned").any():
        handles = {
            label: handle
            for axes in panels[: len(names)]
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize="small",
        )
    figure.suptitle(_escape(f"{study.study}: {chosen} by hyperparameter"))
    return figure


def _draw_slice(
    axes: Axes, trials: pd.DataFrame, name: str, metric: str, colors: Normalize, best_end: int
) -> None:
    """Draw the trials that have a hyperparameter.

    Args:
        axes: the panel.
        trials: trials with a value.
        name: of the hyperparameter.
        metric: of the objective.
        colors: of trial numbers.
        best_end: 0 if the lowest value is the best, -1 if the highest is.
    """
    # A conditional hyperparameter is missing from some trials.
    present = trials[trials[name].notna()]
    is_numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in present[name].tolist()
    )
    settings = (
        present[name].tolist() if is_numeric else [_escape(str(value)) for value in present[name]]
    )
    is_pruned = (present["state"] == "pruned").tolist()
    for pruned in (False, True):
        drawn = [place for place, other in enumerate(is_pruned) if other == pruned]
        if not drawn:
            continue
        axes.scatter(
            [settings[place] for place in drawn],
            present[metric].iloc[drawn],
            c=present.index[drawn],
            cmap=_TRIAL_COLORS,
            norm=colors,
            s=26,
            marker="x" if pruned else "o",
            edgecolors=None if pruned else "white",
            linewidths=1.0 if pruned else 0.4,
            label="pruned" if pruned else "complete",
        )
    axes.set_xlabel(_escape(name))
    if is_numeric and _spans_decades(settings):
        axes.set_xscale("log")
    complete = present[present["state"] == "complete"]
    keep = _range_of(complete[metric])[best_end:][:1]
    _fit_axis(axes, "y", _points(present[metric]), keep)


def plot_importances(study: PlottedStudy) -> NotebookFigure:
    """Plot the importance of each hyperparameter whose effect is shown, with its interval.

    Raises:
        RequestError: no effect is shown.
    """
    shown = [report for report in study.importance.values() if report.shown]
    if not shown:
        reasons = "; ".join(dict.fromkeys(str(one.reason) for one in study.importance.values()))
        raise RequestError(
            f"a plot of importance takes an effect that can be told from chance: {reasons}; "
            f"study {study.study} has {study.counts['complete']} complete trials: sweep on, or "
            "read study.effects."
        )
    most_bars = max(len(report.shown) for report in shown)
    figure, panels = _create_figure(rows=len(shown), panel_inches=(7.0, 1.2 + 0.35 * most_bars))
    for axes, report in zip(panels, shown, strict=True):
        _draw_importances(axes, report)
        axes.set_title(_escape(f"{study.study}: importance for {report.metric}"))
    return figure


def _draw_importances(axes: Axes, report: ImportanceReport) -> None:
    shares = report.shown
    axes.barh(list(map(_escape, shares)), list(shares.values()), color=BLUE, height=0.65)
    right = 0.0
    for place, (name, share) in enumerate(shares.items()):
        low, high = report.shares[name].low, report.shares[name].high
        text, end = f"{share:.0%}", share
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color="black", linewidth=1.2, marker="|")
            text, end = f"{share:.0%} ({low:.0%} to {high:.0%})", max(share, high)
        axes.annotate(
            text,
            (end, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
        right = max(right, end)
    axes.set_xlabel(get_evaluator(report.evaluator).summary)
    axes.invert_yaxis()  # the greatest on top
    axes.set_xlim(0, right * 1.3 or 1.0)  # room for the last text
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False, axis="y")


def plot_front(study: PlottedStudy, x: str | None = None, y: str | None = None) -> NotebookFigure:
    """Plot two objectives and the Pareto front.

    Args:
        study: a study of several objectives.
        x: the metric of the horizontal axis; None: of the second objective.
        y: the metric of the vertical axis; None: of the first objective.

    Raises:
        RequestError: the study has one objective, or a metric is not one of an objective.
    """
    if study.pareto is None:
        raise RequestError(
            f"a plot of the front takes several objectives; {study.study} has "
            f"{study.objectives[0]!r} alone."
        )
    metrics = [Objective.read(text).metric for text in study.objectives]
    across = check_name("objective's metric", x or metrics[1], metrics)
    up = check_name("objective's metric", y or metrics[0], metrics)
    complete = study.trials[study.trials["state"] == "complete"].astype({across: float, up: float})
    on_front = complete.index.isin([trial["number"] for trial in study.pareto])
    figure, (axes,) = _create_figure(panel_inches=(7.0, 4.2))
    for rows, color, size, name in (
        (complete[~on_front], GREY, 22, "dominated"),
        (complete[on_front].sort_values(across), VERMILLION, 46, "Pareto front"),
    ):
        axes.scatter(rows[across], rows[up], color=color, s=size, label=name, zorder=3)
    for number, row in complete[on_front].iterrows():
        axes.annotate(
            str(number),
            (row[across], row[up]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set_title(_escape(f"{study.study}: trials of the front by number"))
    axes.set(xlabel=_axis_label(across), ylabel=_axis_label(up))
    front = complete[on_front]
    _fit_axis(axes, "x", _points(complete[across]), front[across].tolist())
    _fit_axis(axes, "y", _points(complete[up]), front[up].tolist())
    axes.legend(frameon=False, fontsize="small")
    return figure


# What all plots share.


def _create_figure(
    rows: int = 1, columns: int = 1, panel_inches: tuple[float, float] = (7.0, 3.4)
) -> tuple[NotebookFigure, list[Axes]]:
    """Return an empty figure and its panels, row by row.

    Args:
        rows: of panels.
        columns: of panels.
        panel_inches: width and height of a panel.
    """
    width, height = panel_inches
    figure = NotebookFigure(figsize=(width * columns, height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, list(panels.flat)


def _escape(text: str) -> str:
    """Return a text of a user as matplotlib draws it, dollar signs included.

    Names of studies, hyperparameters and metrics, and values that are texts, go through here.
    """
    # matplotlib reads what is between two dollar signs as a formula, and an incomplete one is an
    # error. Not `parse_math=False`, which labels on an axis do not take.
    return text.replace("$", r"\$")


def _axis_label(metric: str) -> str:
    unit = _METRIC_UNITS.get(metric.removeprefix("val_"))
    return _escape(metric if unit is None else f"{metric} ({unit})")


def _points(values: Iterable[float]) -> list[tuple[float, ...]]:
    """Return single values as ranges, for `_fit_axis`."""
    return [(float(value), float(value)) for value in values]


def _fit_axis(
    axes: Axes, which: Literal["x", "y"], ranges: Sequence[Sequence[float]], keep: Sequence[float]
) -> None:
    """Scale an axis to the values that matter, and write how many trials lie outside of it.

    Args:
        axes: the panel.
        which: its axis.
        ranges: lowest and highest value of each trial; empty for a trial without one.
        keep: values that must be inside, such as those of the best trials.
    """
    values = [end for ends in ranges for end in ends if math.isfinite(end)]
    if not values:
        return
    low, high = usual_range(values)
    low, high = min(low, *keep, math.inf), max(high, *keep, -math.inf)
    is_log = _spans_decades([value for value in values if low <= value <= high])
    if is_log:
        axes.set(**{f"{which}scale": "log"})
    below = sum(any(end < low for end in ends) for ends in ranges)
    above = sum(any(end > high for end in ends) for ends in ranges)
    if below + above == 0:
        return
    margin = (high / low) ** _MARGIN if is_log else (high - low) * _MARGIN
    ends = (low / margin, high * margin) if is_log else (low - margin, high + margin)
    axes.set(**{f"{which}lim": ends})
    counts = (
        ((below, "below"), (above, "above"))
        if which == "y"
        else ((below, "left"), (above, "right"))
    )
    text = ", ".join(f"{number} {side}" for number, side in counts if number)
    axes.text(
        *((0.99, 0.02) if which == "y" else (0.01, 0.98)),
        f"trials outside: {text}",
        transform=axes.transAxes,
        ha="right" if which == "y" else "left",
        va="bottom" if which == "y" else "top",
        fontsize="x-small",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )


def usual_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of finite values without those that would squash an axis.

    Outliers are more than three quartile ranges away from the quartiles (Tukey, Exploratory Data
    Analysis, 1977: "far out"), on a logarithmic scale if the values span decades. They are left out
    if they take most of the axis.
    """
    low, high = min(values), max(values)
    is_log = _spans_decades(values)
    scaled = [math.log(value) for value in values] if is_log else list(values)
    if len(scaled) < _MIN_QUARTILE_VALUES:
        return low, high
    first, _, third = statistics.quantiles(scaled, n=4, method="inclusive")
    reach = _FAR_OUT * (third - first)
    usual = [
        value
        for value, place in zip(values, scaled, strict=True)
        if first - reach <= place <= third + reach
    ]
    # On the scale that the axis would have without the outliers.
    if reach == 0 or _width(usual, is_log) > _MIN_USUAL_SHARE * _width(values, is_log):
        return low, high
    return min(usual), max(usual)


def _width(values: Sequence[float], is_log: bool) -> float:
    low, high = min(values), max(values)
    return math.log(high / low) if is_log else high - low


def _spans_decades(values: Sequence[Any]) -> bool:
    """Return whether an axis of these values should be logarithmic."""
    return len(values) > 0 and min(values) > 0 and max(values) / min(values) >= _MIN_LOG_RATIO
