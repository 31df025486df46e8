"""The figures of a report, drawn from its records as SVG.

Each function returns the bytes of a file. Captions, which say what intervals are, are in `content`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from assay.experiments.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PALE,
    PURPLE,
    SERIES,
    VERMILLION,
    clip_axis,
    drawing,
    label,
    new_figure,
)
from assay.experiments.report.records import (
    ClassRecord,
    ComparedRecord,
    EffectRecord,
    ExpectedBestRecord,
    FinalistRecord,
    HyperparameterRecord,
    ImportanceRecord,
    Interval,
    IsolationRecord,
    StudyRecord,
    TrainingRecord,
    TrialRecord,
)
from assay.experiments.results.plots import usual_range

MOST_LINES = 300
"""Lines of the parallel coordinates; of more trials, the best and an even sample are drawn."""

MOST_CLASSES = 20
"""Classes of the confusion matrix; of more, those with the most errors are drawn."""

_VERDICT_COLORS = {"leader": BLUE, "better": GREEN, "worse": VERMILLION}
_ROW_INCHES = 0.34
_MISSING = -0.12  # where a trial without a hyperparameter crosses its axis


# Configurations with intervals.


@drawing
def draw_finalists(study: StudyRecord, finalists: Sequence[FinalistRecord]) -> Figure:
    """Draw the test metric of each finalist with its interval, and its search score."""
    rows = [one for one in finalists if one.test is not None or one.validation is not None]
    figure, (axes,) = new_figure(0.95 + _ROW_INCHES * len(rows))
    comparable = study.metric.removeprefix("val_") == study.test_metric
    values = []
    for place, one in enumerate(rows):
        color = _VERDICT_COLORS.get(one.verdict, GREY)
        if one.test is not None:
            values += _draw_interval(axes, place, one.test, color)
        if comparable and one.search_value is not None:
            axes.plot(one.search_value, place, "D", color=INK, mfc="white", ms=5, mew=1.0)
            values.append(one.search_value)
    names = [f"trial {one.trial}{' (baseline)' if one.baseline else ''}" for one in rows]
    _name_rows(axes, names, [one.verdict == "leader" for one in rows])
    axes.set_xlabel(_axis_name(f"{study.test_metric} on the test set", study.is_share))
    _mark_leader(axes, [one.test for one in rows if one.verdict == "leader"])
    handles = [Line2D([], [], marker="o", color=GREY, label="test, mean and 95 % interval")]
    if comparable:
        handles.append(
            Line2D([], [], marker="D", ls="", color=INK, mfc="white", label="score in the search")
        )
    _legend_above(figure, handles)
    return figure


@drawing
def draw_compared(
    rows: Sequence[ComparedRecord], metric: str, is_share: bool, names: Sequence[str]
) -> Figure:
    """Draw the test metric of each configuration of several studies."""
    shown = [(name, one) for name, one in zip(names, rows, strict=True) if one.test is not None]
    figure, (axes,) = new_figure(0.7 + 0.3 * len(shown))
    for place, (_, one) in enumerate(shown):
        assert one.test is not None
        color = PURPLE if one.study is None else _VERDICT_COLORS.get(one.verdict, GREY)
        _draw_interval(axes, place, one.test, color)
    _name_rows(
        axes, [label(name, 28) for name, _ in shown], [one.verdict == "leader" for _, one in shown]
    )
    axes.set_xlabel(_axis_name(f"{metric} on the test set", is_share))
    _mark_leader(axes, [one.test for _, one in shown if one.verdict == "leader"])
    return figure


def _draw_interval(axes: Axes, place: int, interval: Interval, color: str) -> list[float]:
    """Draw a mean with its interval; return the numbers that were drawn."""
    ends = [end for end in (interval.low, interval.high) if end is not None]
    if len(ends) == 2:
        axes.plot(ends, [place, place], color=color, lw=2.4, solid_capstyle="round")
    axes.plot(interval.mean, place, "o", color=color, ms=6.5)
    return [interval.mean, *ends]


def _axis_name(name: str, is_share: bool) -> str:
    return label(f"{name} (share of right answers)" if is_share else name, 60)


def _mark_leader(axes: Axes, leaders: Sequence[Interval | None]) -> None:
    for interval in leaders:
        if interval is not None:
            axes.axvline(interval.mean, color=BLUE, lw=0.8, ls=(0, (2, 3)), zorder=0)


def _name_rows(axes: Axes, names: Sequence[str], strong: Sequence[bool]) -> None:
    axes.set_yticks(range(len(names)), names)
    for text, is_strong in zip(axes.get_yticklabels(), strong, strict=True):
        if is_strong:
            text.set_fontweight("bold")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _legend_above(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=min(len(handles), 4),
        handlelength=1.4,
    )


# The search.


@drawing
def draw_history(
    study: StudyRecord, trials: Sequence[TrialRecord], best_value: bool = True
) -> Figure:
    """Draw the first objective of each trial in the order of the search, and the best so far."""
    figure, (axes,) = new_figure(2.9)
    complete = _with_value(trials, "complete")
    pruned = _with_value(trials, "pruned")
    failed = [one for one in trials if one.state.startswith("failed")]
    sizes = {"ms": 4.5 if len(trials) <= 200 else 2.5}
    if pruned:
        axes.plot(*_points(pruned), "x", color=GREY, mew=0.9, label="pruned", **sizes)
    if complete:
        axes.plot(*_points(complete), "o", color=BLUE, mew=0, alpha=0.85, label="complete", **sizes)
        steps = _best_so_far(complete, study.greater_is_better, last=len(trials) - 1)
        axes.step(*steps, where="post", color=VERMILLION, lw=1.4, label="best so far")
    baselines = [one for one in complete if one.baseline]
    if baselines:
        axes.plot(*_points(baselines), "s", color=INK, mfc="none", ms=7.5, label="baseline")
    outside = clip_axis(axes, _points(complete)[1], _points(pruned)[1], "y")
    for one in failed:
        axes.plot(one.trial, 0.02, "|", color=VERMILLION, transform=axes.get_xaxis_transform())
    axes.set_xlabel("trial" if not failed else "trial (marks on the axis: failed)")
    axes.set_ylabel(label(study.objectives[0].partition(" ")[2], 30))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if outside:
        axes.set_title(f"{outside} trials lie outside", fontsize=8, color=GREY, loc="right")
    if complete or pruned:
        handles, _ = axes.get_legend_handles_labels()
        _legend_above(figure, handles)
    return figure


def _with_value(trials: Sequence[TrialRecord], state: str) -> list[TrialRecord]:
    return [
        one for one in trials if one.state == state and one.values and one.values[0] is not None
    ]


def _points(trials: Sequence[TrialRecord]) -> tuple[list[int], list[float]]:
    return [one.trial for one in trials], [one.values[0] or 0.0 for one in trials]


def _best_so_far(
    complete: Sequence[TrialRecord], greater_is_better: bool, last: int
) -> tuple[list[int], list[float]]:
    numbers, values = _points(sorted(complete, key=lambda one: one.trial))
    best = (np.maximum if greater_is_better else np.minimum).accumulate(values).tolist()
    return [*numbers, max(last, numbers[-1])], [*best, best[-1]]


@drawing
def draw_front(study: StudyRecord, trials: Sequence[TrialRecord]) -> Figure:
    """Draw two objectives of the complete trials, and the Pareto front."""
    figure, (axes,) = new_figure(3.1)
    complete = [
        one
        for one in trials
        if one.state == "complete" and len(one.values) >= 2 and None not in one.values[:2]
    ]
    names = [text.partition(" ")[2] for text in study.objectives[:2]]
    others = [one for one in complete if one.trial not in study.pareto]
    front = sorted(
        (one for one in complete if one.trial in study.pareto), key=lambda one: one.values[1] or 0.0
    )
    for group, color, name in ((others, PALE, "dominated"), (front, BLUE, "Pareto front")):
        axes.plot(
            [one.values[1] for one in group],
            [one.values[0] for one in group],
            "o",
            color=color,
            ms=5.5,
            label=name,
        )
    axes.step(
        [one.values[1] for one in front],
        [one.values[0] for one in front],
        where="post",
        color=BLUE,
        lw=1.0,
    )
    seconds = [one.values[1] or 0.0 for one in complete]
    if seconds and min(seconds) > 0 and max(seconds) / min(seconds) > 30:
        axes.set_xscale("log")
    axes.set_xlabel(label(names[1], 40))
    axes.set_ylabel(label(names[0], 40))
    _legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure


# Parallel coordinates.


def choose_lines(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that the parallel coordinates show, the best last."""
    known = _with_value(trials, "complete") + _with_value(trials, "pruned")
    sign = 1 if study.greater_is_better else -1
    known.sort(key=lambda one: (one.state == "complete", sign * (one.values[0] or 0.0)))
    if len(known) <= MOST_LINES:
        return known
    best = known[-MOST_LINES // 3 :]
    rest = known[: -len(best)]
    step = math.ceil(len(rest) / (MOST_LINES - len(best)))
    return [*rest[::step], *best]


@drawing
def draw_parallel(
    study: StudyRecord, space: Sequence[HyperparameterRecord], trials: Sequence[TrialRecord]
) -> Figure:
    """Draw each trial as a line over the axes of the space, colored by its value."""
    width = min(max(4.6, 1.25 * (len(space) + 1)), 9.5)
    figure, (axes,) = new_figure(3.2, width=width)
    lines = choose_lines(study, trials)
    values = [one.values[0] or 0.0 for one in lines]
    places = [_make_scale(one, trials) for one in space]
    # Pruned trials end early, and some far below: they would squash the axis of the others.
    low, high = _value_range(
        [value for one, value in zip(lines, values, strict=True) if one.state == "complete"]
        or values
    )
    norm = Normalize(low, high)
    segments = []
    for one, value in zip(lines, values, strict=True):
        heights = [
            place(one.params[parameter.name]) if parameter.name in one.params else _MISSING
            for parameter, place in zip(space, places, strict=True)
        ]
        height = min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)
        segments.append(list(enumerate([*heights, height])))
    collection = LineCollection(
        segments,
        array=np.array(values),
        cmap="cividis" if study.greater_is_better else "cividis_r",
        norm=norm,
        linewidths=[1.1 if one.state == "complete" else 0.5 for one in lines],
        alpha=[0.85 if one.state == "complete" else 0.25 for one in lines],
    )
    axes.add_collection(collection)
    names = [label(one.name, 16) for one in space]
    names.append(label(study.objectives[0].partition(" ")[2], 16))
    axes.set_xticks(range(len(names)), names, fontsize=8.5)
    axes.set_xlim(-0.15, len(names) - 0.85)
    is_conditional = any(heights[1] == _MISSING for line in segments for heights in line)
    axes.set_ylim(-0.2 if is_conditional else -0.04, 1.04)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0, pad=10)
    for place, parameter in enumerate(space):
        axes.axvline(place, color=GREY, lw=0.8)
        _write_ticks(axes, place, _ticks_of(parameter, trials), places[place])
    end = len(space)
    axes.axvline(end, color=INK, lw=1.1)
    for height, value in ((0.0, low), (0.5, (low + high) / 2), (1.0, high)):
        _write_tick(axes, end, height, f"{value:.3g}")
    return figure


def _value_range(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = usual_range(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _categories(parameter: HyperparameterRecord, trials: Sequence[TrialRecord]) -> list[str]:
    """Return the choices as texts; those that only trials have come last."""
    known = [str(choice) for choice in parameter.choices]
    extra = {
        str(one.params[parameter.name]) for one in trials if parameter.name in one.params
    }.difference(known)
    return [*known, *sorted(extra)]


def _make_scale(
    parameter: HyperparameterRecord, trials: Sequence[TrialRecord]
) -> Callable[[Any], float]:
    """Return a function from a value to its place on the hyperparameter's own axis, 0 to 1."""
    if parameter.low is None or parameter.high is None:
        categories = _categories(parameter, trials)
        place_of = {name: place for place, name in enumerate(categories)}
        last = max(len(categories) - 1, 1)
        return lambda value: place_of.get(str(value), 0) / last
    is_log = parameter.log and parameter.low > 0
    low, high = (_scale(end, is_log) for end in (parameter.low, parameter.high))
    width = (high - low) or 1.0

    def place(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _MISSING
        if is_log and value <= 0:
            return _MISSING
        return min(max((_scale(float(value), is_log) - low) / width, -0.03), 1.03)

    return place


def _scale(value: float, is_log: bool) -> float:
    return math.log(value) if is_log else value


def _ticks_of(parameter: HyperparameterRecord, trials: Sequence[TrialRecord]) -> list[Any]:
    if parameter.low is None or parameter.high is None:
        categories = _categories(parameter, trials)
        step = math.ceil(len(categories) / 8)
        return categories[::step]
    low, high = parameter.low, parameter.high
    if parameter.log and low > 0:
        decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        ticks = {low, high, *(10.0**power for power in decades)}
    else:
        ticks = {low, (low + high) / 2, high}
    whole = {round(tick) if parameter.integer else tick for tick in ticks}
    return sorted(whole)


def _write_ticks(
    axes: Axes, place: int, ticks: Sequence[Any], scale: Callable[[Any], float]
) -> None:
    last = -1.0
    for tick in ticks:
        height = scale(tick)
        if height - last < 0.08:  # letters would overlap
            continue
        last = height
        text = f"{tick:.3g}" if isinstance(tick, int | float) else label(tick, 12)
        _write_tick(axes, place, height, text)


def _write_tick(axes: Axes, place: int, height: float, text: str) -> None:
    axes.plot([place - 0.02, place + 0.02], [height, height], color=GREY, lw=0.8)
    axes.text(
        place + 0.04,
        height,
        text,
        va="center",
        fontsize=7.5,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        zorder=5,
    )


# Importance and effects.


@drawing
def draw_importance(shares: Sequence[ImportanceRecord]) -> Figure:
    """Draw the share of each hyperparameter, with its interval."""
    figure, (axes,) = new_figure(0.8 + _ROW_INCHES * len(shares))
    for place, one in enumerate(shares):
        shown = one.passed is not False
        axes.barh(place, max(one.share, 0.0), height=0.55, color=BLUE if shown else PALE)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=INK, lw=1.2)
    names = [
        f"{label(one.name, 20)}{'' if one.passed is not False else ' (not shown)'}"
        for one in shares
    ]
    _name_rows(axes, names, [False] * len(names))
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the variance of ranks explained" if _is_ranks(shares) else "share")
    return figure


def _is_ranks(shares: Sequence[ImportanceRecord]) -> bool:
    return all(one.evaluator == "ranks" for one in shares)


@drawing
def draw_effects(effects: Mapping[str, Sequence[EffectRecord]], metric: str) -> Figure:
    """Draw the mean of the complete trials in each group of each hyperparameter."""
    columns = 2 if len(effects) > 1 else 1
    rows = math.ceil(len(effects) / columns)
    figure, panels = new_figure(0.35 + 1.75 * rows, rows=rows, columns=columns)
    for axes, (name, groups) in zip(panels, effects.items(), strict=False):
        for place, one in enumerate(groups):
            if one.sd is not None:
                axes.plot(
                    [place, place],
                    [one.mean - one.sd, one.mean + one.sd],
                    color=SERIES[5],
                    lw=5,
                    alpha=0.5,
                    solid_capstyle="butt",
                )
            axes.plot(place, one.mean, "o", color=BLUE, ms=5)
        few = len(groups) > 4
        axes.set_xticks(
            range(len(groups)),
            [label(one.group, 9 if few else 12) for one in groups],
            rotation=35 if few or any(len(one.group) > 8 for one in groups) else 0,
            ha="right" if few or any(len(one.group) > 8 for one in groups) else "center",
            fontsize=7.5,
        )
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_title(label(name, 26), loc="left")
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in panels[len(effects) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(label(metric, 18), fontsize=8)
    return figure


@drawing
def draw_isolation(study: StudyRecord, groups: Sequence[IsolationRecord]) -> Figure:
    """Draw the best over everything else, for each value of the hyperparameter in question."""
    figure, (axes,) = new_figure(0.85 + _ROW_INCHES * len(groups))
    for place, one in enumerate(groups):
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=BLUE, lw=2.4)
        axes.plot(one.best, place, "o", color=BLUE, ms=6.5)
    names = [f"{label(one.group, 16)} ({one.trials})" for one in groups]
    _name_rows(axes, names, [False] * len(names))
    axes.set_xlabel(label(f"best {study.metric} (number of complete trials)", 60))
    return figure


@drawing
def draw_expected_best(study: StudyRecord, points: Sequence[ExpectedBestRecord]) -> Figure:
    """Draw the median of the best value against the number of random trials, with its band."""
    figure, (axes,) = new_figure(2.9)
    trials = [one.trials for one in points]
    medians = [one.median for one in points]
    worst, best = min(medians), max(medians)
    span = (best - worst) or 1.0
    axes.fill_between(
        trials,
        [one.low if one.low is not None else worst - 2 * span for one in points],
        [one.high if one.high is not None else best + 2 * span for one in points],
        color=SERIES[5],
        alpha=0.35,
        lw=0,
        label="95 % band",
        step=None,
    )
    axes.plot(trials, medians, color=BLUE, lw=1.6, label="median")
    known = [end for one in points for end in (one.low, one.high, one.median) if end is not None]
    low, high = min(known), max(known)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) + 1e-12)
    if trials[-1] >= 20:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        ticks = [
            number for number in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if number <= trials[-1]
        ]
        axes.set_xticks(ticks, [str(number) for number in ticks])
    axes.set_xlabel("number of random trials")
    axes.set_ylabel(label(f"best {study.metric}", 30))
    _legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure


# Finalists.


@drawing
def draw_curves(
    study: StudyRecord, metric: str, trainings: Mapping[int, Sequence[TrainingRecord]]
) -> Figure:
    """Draw a validation metric by epoch: the mean over seeds, and a band from lowest to highest.

    Args:
        study: the study.
        metric: name of the metric; where training has it too, that is a dotted line.
        trainings: re-trainings by finalist.
    """
    figure, (axes,) = new_figure(3.0)
    drawn: list[float] = []
    for color, (trial, of_trial) in zip(_cycle(len(trainings)), trainings.items(), strict=True):
        curves = _stack_curves([one.curves.get(metric, ()) for one in of_trial])
        if curves is None:
            continue
        epochs = np.arange(1, curves.shape[1] + 1)
        mean = curves.mean(axis=0)
        axes.fill_between(
            epochs, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.18, lw=0
        )
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, mean, color=color, lw=1.6, label=f"trial {trial}", marker=marker)
        drawn += curves.ravel().tolist()
        training = _stack_curves(
            [one.curves.get(metric.removeprefix("val_"), ()) for one in of_trial]
        )
        if training is not None and metric.startswith("val_"):
            axes.plot(
                np.arange(1, training.shape[1] + 1),
                training.mean(axis=0),
                color=color,
                lw=0.9,
                ls=(0, (1, 2)),
            )
    clip_axis(axes, drawn, (), "y")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label(metric, 30))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    handles = axes.get_legend_handles_labels()[0]
    _legend_above(figure, handles)
    return figure


def _cycle(count: int) -> list[str]:
    return [SERIES[place % len(SERIES)] for place in range(count)]


def _stack_curves(curves: Sequence[Sequence[float | None]]) -> np.ndarray[Any, Any] | None:
    """Return curves as a table (seeds, epochs) up to the shortest; None without any."""
    finite = [curve for curve in curves if len(curve) and None not in curve]
    if not finite:
        return None
    epochs = min(len(curve) for curve in finite)
    return np.array([curve[:epochs] for curve in finite], np.float64)


def choose_classes(classes: Sequence[ClassRecord]) -> list[int]:
    """Return the indices of the classes that the confusion matrix shows."""
    if len(classes) <= MOST_CLASSES:
        return list(range(len(classes)))
    errors = [sum(one.predicted) - one.predicted[place] for place, one in enumerate(classes)]
    worst = sorted(range(len(classes)), key=lambda place: (-errors[place], place))
    return sorted(worst[:MOST_CLASSES])


@drawing
def draw_confusion(classes: Sequence[ClassRecord]) -> Figure:
    """Draw the confusion matrix of the leader: shares of each class, in percent."""
    chosen = choose_classes(classes)
    counts = np.array([[classes[row].predicted[column] for column in chosen] for row in chosen])
    totals = np.array([max(sum(classes[row].predicted), 1) for row in chosen])
    shares = 100.0 * counts / totals[:, None]
    side = 1.3 + 0.32 * len(chosen)
    figure, (axes,) = new_figure(max(min(side, 6.4), 2.4), width=max(min(side + 0.5, 6.9), 3.0))
    off = shares.copy()
    np.fill_diagonal(off, 0.0)
    axes.imshow(off, cmap="Oranges", vmin=0, vmax=max(float(off.max()), 1.0), aspect="equal")
    size = 8.0 if len(chosen) <= 12 else 6.0
    for row, column in np.ndindex(*shares.shape):
        share = shares[row, column]
        if counts[row, column] == 0:
            continue
        dark = row != column and off[row, column] > 0.6 * off.max()
        axes.text(
            column,
            row,
            f"{share:.0f}" if share >= 9.5 else f"{share:.1f}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else INK,
            fontweight="bold" if row == column else "normal",
        )
    names = [label(classes[place].label, 12) for place in chosen]
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=45 if max(map(len, names)) > 3 else 0,
        ha="right" if max(map(len, names)) > 3 else "center",
        fontsize=size,
    )
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("class")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
