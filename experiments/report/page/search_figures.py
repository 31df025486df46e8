"""Figures of a search, drawn from the records of its trials as SVG."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from assay.experiments.formatting import format_count, format_metric
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    MOST_VECTORS,
    ORANGE,
    PALE,
    SKY,
    VERMILLION,
    clip_axis,
    drawing,
    label,
    legend_above,
    mark_outside,
    name_rows,
    new_figure,
    write_values,
)
from assay.experiments.report.records import (
    EffectRecord,
    ExpectedBestRecord,
    HyperparameterRecord,
    ImportanceRecord,
    IsolationRecord,
    StudyRecord,
    TrialRecord,
)
from assay.experiments.results.plots import usual_range

BEST_LINES, OTHER_LINES = 100, 100
"""Of more trials, the parallel coordinates show the best and an even sample of the others."""

MOST_EFFECTS = 12
"""Hyperparameters whose effects are drawn."""

_ROW_INCHES = 0.36
_NOT_SET = -0.13  # where a trial without a hyperparameter crosses its axis
_MOST_TICKS = 6
_DARKER = LinearSegmentedColormap.from_list("blues", [PALE, SKY, "#003B63"])
_LINE_CHARACTERS = 54  # of the labels of an axis, together


def metric_of(objective: str) -> str:
    """Return the metric of an objective, such as "val_accuracy" of "maximize val_accuracy"."""
    return objective.partition(" ")[2]


def with_value(trials: Sequence[TrialRecord], *states: str) -> list[TrialRecord]:
    """Return the trials in one of these states that have a value of the first objective."""
    return [
        one for one in trials if one.state in states and one.values and one.values[0] is not None
    ]


def _points(trials: Sequence[TrialRecord]) -> tuple[list[int], list[float]]:
    return [one.trial for one in trials], [one.values[0] or 0.0 for one in trials]


@drawing
def draw_history(
    study: StudyRecord, trials: Sequence[TrialRecord], finalists: Collection[int] = ()
) -> Figure:
    """Draw the first objective of each trial in the order of the search, and the best so far.

    Args:
        study: the study.
        trials: its trials.
        finalists: numbers of those that were trained again: none of them is cut off.
    """
    figure, (axes,) = new_figure(2.9)
    complete, pruned = with_value(trials, "complete"), with_value(trials, "pruned")
    failed = [one.trial for one in trials if one.has_failed]
    many = len(trials) > MOST_VECTORS
    size = 2.5 if many else 5
    if pruned:
        axes.plot(
            *_points(pruned), "x", color=GREY, ms=size, mew=0.9, label="pruned", rasterized=many
        )
    if complete:
        axes.plot(
            *_points(complete),
            "o",
            color=BLUE,
            mew=0,
            alpha=0.85,
            ms=size,
            label="complete",
            rasterized=many,
        )
        steps = _best_so_far(complete, _is_maximized(study), last=len(trials) - 1)
        axes.step(*steps, where="post", color=INK, lw=1.5, label="best so far")
    if baselines := [one for one in complete if one.baseline]:
        axes.plot(*_points(baselines), "s", color=INK, mfc="none", ms=8.5, label="baseline")
    # A best value far from all others would be cut off as an outlier.
    kept = {study.best, *study.pareto, *finalists}
    keep = [one.values[0] or 0.0 for one in complete if one.trial in kept]
    outside = clip_axis(axes, _points(complete)[1], _points(pruned)[1], "y", keep=keep)
    if outside:
        mark_outside(axes, *_points([*complete, *pruned]))
    if failed:
        axes.plot(
            failed,
            [0.0] * len(failed),
            "|",
            color=VERMILLION,
            ms=9,
            mew=1.4,
            transform=axes.get_xaxis_transform(),
            label="failed",
            clip_on=False,
            rasterized=many,
        )
    beyond = f" (triangles: {format_count(outside, 'trial')} outside)" if outside else ""
    axes.set_xlabel(f"trial{beyond}")
    axes.set_ylabel(label(metric_of(study.objectives[0]), 30))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    handles = axes.get_legend_handles_labels()[0]
    legend_above(figure, handles, columns=3 if len(handles) > 4 else 4)
    return figure


def _is_maximized(study: StudyRecord) -> bool:
    return study.objectives[0].startswith("maximize")


def _best_so_far(
    complete: Sequence[TrialRecord], is_maximized: bool, last: int
) -> tuple[list[int], list[float]]:
    numbers, values = _points(sorted(complete, key=lambda one: one.trial))
    best = (np.maximum if is_maximized else np.minimum).accumulate(values).tolist()
    return [*numbers, max(last, numbers[-1])], [*best, best[-1]]


@drawing
def draw_endings(trials: Sequence[TrialRecord]) -> Figure:
    """Draw how many trials ended in which state."""
    states = Counter(one.state for one in trials).most_common(8)
    figure, (axes,) = new_figure(0.65 + _ROW_INCHES * len(states))
    for place, (state, count) in enumerate(states):
        axes.barh(place, count, height=0.55, color=VERMILLION if "failed" in state else GREY)
    name_rows(axes, [label(state, 26) for state, _ in states])
    write_values(axes, [str(count) for _, count in states])
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("number of trials")
    return figure


@drawing
def draw_front(study: StudyRecord, trials: Sequence[TrialRecord]) -> Figure:
    """Draw the first objective against each other one, and the Pareto front."""
    complete = [
        one
        for one in trials
        if one.state == "complete"
        and len(one.values) == len(study.objectives)
        and None not in one.values
    ]
    names = [metric_of(one) for one in study.objectives]
    figure, panels = new_figure(0.3 + 2.8 * (len(names) - 1), [1.0] * (len(names) - 1))
    for place, axes in enumerate(panels, 1):
        others = [one for one in complete if one.trial not in study.pareto]
        front = [one for one in complete if one.trial in study.pareto]
        front.sort(key=lambda one: one.values[place] or 0.0)
        for group, color, name, size in (
            (others, PALE, "others", 4.5),
            (front, BLUE, "Pareto front", 6.0),
        ):
            x, y = ([one.values[of] or 0.0 for one in group] for of in (place, 0))
            is_many = len(group) > MOST_VECTORS
            axes.plot(x, y, "o", color=color, ms=size, label=name, rasterized=is_many)
        if len(names) == 2 and front:
            axes.step(
                [one.values[1] or 0.0 for one in front],
                [one.values[0] or 0.0 for one in front],
                where="post" if study.objectives[1].startswith("minimize") else "pre",
                color=BLUE,
                lw=1.0,
            )
        if len(front) <= 15:
            # Neighbors lie close to one another: their numbers stand below and above in turn.
            for turn, one in enumerate(front):
                axes.annotate(
                    str(one.trial),
                    (one.values[place] or 0.0, one.values[0] or 0.0),
                    xytext=(3, -12) if turn % 2 == 0 else (-10, 6),
                    textcoords="offset points",
                    fontsize=8.5,
                )
        across = [one.values[place] or 0.0 for one in complete]
        if across and min(across) > 0 and max(across) / min(across) > 30:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(label(names[place], 40))
        axes.set_ylabel(label(names[0], 30))
    legend_above(figure, panels[0].get_legend_handles_labels()[0])
    return figure


# Parallel coordinates.


def choose_lines(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that the parallel coordinates show, the best last."""
    known = with_value(trials, "complete", "pruned")
    sign = 1 if _is_maximized(study) else -1
    # Of equal values the first trial is the study's best.
    known.sort(key=lambda one: (one.state == "complete", sign * (one.values[0] or 0.0), -one.trial))
    if len(known) <= MOST_VECTORS:
        return known
    best, others = known[-BEST_LINES:], known[:-BEST_LINES]
    step = math.ceil(len(others) / OTHER_LINES)
    return [*others[::step], *best]


@drawing
def draw_parallel(
    study: StudyRecord,
    space: Sequence[HyperparameterRecord],
    trials: Sequence[TrialRecord],
    finalists: Collection[int] = (),
) -> Figure:
    """Draw each trial as a line from axis to axis: those of the space, then the value.

    The axes lie on top of one another, so that each is as long as a phone is wide.

    Args:
        study: the study.
        space: its hyperparameters.
        trials: its trials.
        finalists: numbers of those that were trained again: the last axis holds them all.
    """
    lines = choose_lines(study, trials)
    complete = [one.values[0] or 0.0 for one in lines if one.state == "complete"]
    # Pruned trials end early, and some far below: they would squash the axis of the others.
    low, high = usual_range(complete or [one.values[0] or 0.0 for one in lines])
    kept = {study.best, *study.pareto, *finalists}
    keep = [one.values[0] or 0.0 for one in lines if one.trial in kept]
    low, high = _widen((min([low, *keep]), max([high, *keep])))
    figure, (axes,) = new_figure(0.35 + 0.62 * (len(space) + 1))
    scales = [_make_scale(one, trials) for one in space]
    segments = []
    for one in lines:
        value = min(max(((one.values[0] or 0.0) - low) / (high - low), 0.0), 1.0)
        across = [
            scale(one.params[parameter.name], one.trial)
            if parameter.name in one.params
            else _NOT_SET
            for parameter, scale in zip(space, scales, strict=True)
        ]
        segments.append([(place, row) for row, place in enumerate([*across, value])])
    is_complete = [one.state == "complete" for one in lines]
    collection = LineCollection(
        segments,
        array=np.array([one.values[0] or 0.0 for one in lines]),
        cmap=_DARKER if _is_maximized(study) else _DARKER.reversed(),
        norm=Normalize(low, high),
        linewidths=[(1.2 if len(lines) <= 100 else 0.7) if done else 0.5 for done in is_complete],
        alpha=[(0.75 if len(lines) <= 100 else 0.45) if done else 0.3 for done in is_complete],
    )
    axes.add_collection(collection)
    best = [line for one, line in zip(lines, segments, strict=True) if one.trial == study.best]
    for line in best:
        axes.plot(*zip(*line, strict=True), color=ORANGE, lw=2.4)
    names = [*(one.name for one in space), metric_of(study.objectives[0])]
    ticks: list[list[tuple[float, str]]] = [
        _ticks_of(one, trials, scale) for one, scale in zip(space, scales, strict=True)
    ]
    ticks.append(_ticks_of_values(low, high, [one.values[0] or 0.0 for one in lines]))
    not_set = [any(line[row][0] == _NOT_SET for line in segments) for row in range(len(names))]
    for row, (name, marks) in enumerate(zip(names, ticks, strict=True)):
        _draw_axis(axes, row, label(name, 34), marks, has_gap=not_set[row])
    axes.set_xlim(-0.2 if any(not_set) else -0.06, 1.06)
    axes.set_ylim(len(names) - 0.55, -0.42)
    axes.set_axis_off()
    return figure


def _widen(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_axis(
    axes: Axes, row: int, name: str, marks: Sequence[tuple[float, str]], has_gap: bool
) -> None:
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 1.0, "pad": 1.0}
    axes.plot([0, 1], [row, row], color=INK, lw=0.9, zorder=4)
    axes.text(0, row - 0.2, name, fontweight="bold", va="center", bbox=halo, zorder=6)
    if has_gap:
        marks = [(_NOT_SET, "not set"), *marks]
    for place, text in marks:
        axes.plot(place, row, "|", color=INK, ms=5, mew=0.9, zorder=5)
        side = "left" if place == 0.0 else "right" if place == 1.0 else "center"
        axes.text(place, row + 0.2, text, ha=side, va="center", fontsize=8.5, bbox=halo, zorder=6)


def _categories(parameter: HyperparameterRecord, trials: Sequence[TrialRecord]) -> list[str]:
    """Return the choices as texts; those that only trials have come last."""
    known = [str(choice) for choice in parameter.choices]
    extra = {
        str(one.params[parameter.name]) for one in trials if parameter.name in one.params
    }.difference(known)
    return [*known, *sorted(extra)]


def _make_scale(
    parameter: HyperparameterRecord, trials: Sequence[TrialRecord]
) -> Callable[[Any, int], float]:
    """Return a function from a value to its place on the hyperparameter's own axis, 0 to 1.

    The function takes the number of the trial too: trials of one choice lie side by side.
    """
    if parameter.low is None or parameter.high is None:
        categories = _categories(parameter, trials)
        place_of = {name: place for place, name in enumerate(categories)}

        def place_choice(value: Any, trial: int) -> float:
            # The golden ratio spreads consecutive numbers evenly over half of the choice's part.
            aside = (trial * 0.618034) % 1.0 - 0.5
            return (place_of.get(str(value), 0) + 0.5 + 0.5 * aside) / max(len(categories), 1)

        return place_choice
    is_log = parameter.log and parameter.low > 0
    low, high = (_to_scale(end, is_log) for end in (parameter.low, parameter.high))

    def place_number(value: Any, trial: int) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or (is_log and value <= 0):
            return _NOT_SET
        return min(max((_to_scale(float(value), is_log) - low) / ((high - low) or 1.0), 0.0), 1.0)

    return place_number


def _to_scale(value: float, is_log: bool) -> float:
    return math.log(value) if is_log else value


def _ticks_of(
    parameter: HyperparameterRecord,
    trials: Sequence[TrialRecord],
    scale: Callable[[Any, int], float],
) -> list[tuple[float, str]]:
    """Return places and texts of ticks."""
    if parameter.low is None or parameter.high is None:
        categories = _categories(parameter, trials)
        step = math.ceil(len(categories) / _MOST_TICKS) or 1
        shown = list(enumerate(categories))[::step]
        most = max(_LINE_CHARACTERS // max(len(shown), 1), 3)
        return [((place + 0.5) / len(categories), label(text, most)) for place, text in shown]
    low, high = parameter.low, parameter.high
    inner: list[float] = [(low + high) / 2]
    if parameter.log and low > 0:
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        inner = [10.0**power for power in powers]
        inner = inner[:: math.ceil(len(inner) / _MOST_TICKS)] if inner else []
    marks: list[tuple[float, str]] = [(0.0, _format_tick(low)), (1.0, _format_tick(high))]
    for tick in inner:
        place = scale(round(tick) if parameter.integer else tick, 0)
        # The letters of neighbors must not overlap.
        if all(abs(place - other) > 0.11 for other, _ in marks):
            marks.append((place, _format_tick(round(tick) if parameter.integer else tick)))
    return sorted(marks)


def _ticks_of_values(low: float, high: float, values: Sequence[float]) -> list[tuple[float, str]]:
    """Return the ticks of the last axis; an end that lines beyond it share says so."""
    first = f"≤ {format_metric(low)}" if min(values) < low else format_metric(low)
    last = f"≥ {format_metric(high)}" if max(values) > high else format_metric(high)
    return [(0.0, first), (0.5, format_metric((low + high) / 2)), (1.0, last)]


def _format_tick(value: float) -> str:
    return f"{value:.3g}"


# Importance, effects, and what a question asks.


@drawing
def draw_importance(shares: Sequence[ImportanceRecord]) -> Figure:
    """Draw the share of each hyperparameter, with its interval."""
    figure, (axes,) = new_figure(0.65 + _ROW_INCHES * len(shares))
    for place, one in enumerate(shares):
        is_shown = one.passed is not False
        axes.barh(place, max(one.share, 0.0), height=0.55, color=BLUE if is_shown else PALE)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=INK, lw=1.3, marker="|", ms=5)
    name_rows(axes, [label(one.name, 22) for one in shares], [one.passed is True for one in shares])
    write_values(axes, [f"{one.share:.0%}" for one in shares])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    is_ranks = all(one.evaluator == "ranks" for one in shares)
    axes.set_xlabel("variance of the ranks explained" if is_ranks else "importance")
    return figure


@drawing
def draw_effects(effects: Mapping[str, Sequence[EffectRecord]], metric: str) -> Figure:
    """Draw the mean of the complete trials in each group of each hyperparameter."""
    shown = dict(itertools.islice(effects.items(), MOST_EFFECTS))
    rows = sum(len(groups) + 1 for groups in shown.values())
    figure, (axes,) = new_figure(0.6 + 0.25 * rows)
    names, numbers, strong = [], [], []
    for name, groups in shown.items():
        names.append(label(name, 22))
        numbers.append("")
        strong.append(True)
        for one in groups:
            place = len(names)
            if one.sd is not None:
                axes.plot(
                    [one.mean - one.sd, one.mean + one.sd],
                    [place, place],
                    color=SKY,
                    lw=4.5,
                    alpha=0.6,
                    solid_capstyle="butt",
                )
            # One trial has no spread, and says little: hollow.
            face = BLUE if one.trials > 1 else "white"
            axes.plot(one.mean, place, "o", color=BLUE, mfc=face, ms=5.5)
            names.append(f"{label(one.group, 20)} ({one.trials})")
            numbers.append(format_metric(one.mean))
            strong.append(False)
    name_rows(axes, names, strong)
    write_values(axes, numbers)
    axes.set_xlabel(label(f"mean {metric}, one standard deviation", 60))
    return figure


@drawing
def draw_isolation(study: StudyRecord, groups: Sequence[IsolationRecord]) -> Figure:
    """Draw the best over everything else, for each value of the hyperparameter in question."""
    figure, (axes,) = new_figure(0.65 + _ROW_INCHES * len(groups))
    for place, one in enumerate(groups):
        if one.low is not None and one.high is not None:
            ends = [one.low, one.high]
            axes.plot(ends, [place, place], color=BLUE, lw=2.4, solid_capstyle="round")
        axes.plot(one.best, place, "o", color=BLUE, ms=6.5, mec="white", mew=0.8)
    name_rows(axes, [f"{label(one.group, 20)} ({one.trials})" for one in groups])
    write_values(axes, [format_metric(one.best) for one in groups])
    axes.set_xlabel(label(f"best {study.metric} of one network", 60))
    return figure


@drawing
def draw_expected_best(study: StudyRecord, points: Sequence[ExpectedBestRecord]) -> Figure:
    """Draw the median of the best value against the number of random trials, with its band."""
    figure, (axes,) = new_figure(2.9)
    trials = [one.trials for one in points]
    known = [end for one in points for end in (one.low, one.high, one.median) if end is not None]
    low, high = _widen((min(known), max(known)))
    margin = 0.06 * (high - low)
    # Where the band is unbounded it is filled to the edge of the figure.
    axes.fill_between(
        trials,
        [low - margin if one.low is None else one.low for one in points],
        [high + margin if one.high is None else one.high for one in points],
        color=SKY,
        alpha=0.35,
        lw=0,
        label="95 % band",
    )
    axes.plot(trials, [one.median for one in points], color=BLUE, lw=1.8, label="median")
    axes.set_ylim(low - margin, high + margin)
    if trials[-1] >= 20:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        marks = [number for number in (1, 2, 5, 10, 20, 50, 100, 200, 500) if number <= trials[-1]]
        axes.set_xticks(marks, list(map(str, marks)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("number of random trials")
    axes.set_ylabel(label(f"best {study.metric}", 30))
    legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure
