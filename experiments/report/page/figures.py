"""Figures of finalists, and of the classes of the leader, as SVG.

Each function returns the bytes of a file. Captions, which say what intervals are, are written where
the figures are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from assay.experiments.formatting import format_metric, format_param
from assay.experiments.report.page.cells import name_test_metric
from assay.experiments.report.page.drawing import (
    BLUE,
    GREY,
    INK,
    PURPLE,
    SERIES,
    VERDICT_COLORS,
    clip_axis,
    drawing,
    label,
    legend_above,
    name_rows,
    new_figure,
    write_values,
)
from assay.experiments.report.records import (
    ClassRecord,
    ComparedRecord,
    ExampleRecord,
    FinalistRecord,
    Interval,
    StudyRecord,
    TrainingRecord,
)
from assay.experiments.terminal_text import escape_line

MOST_CLASSES = 30
"""Classes of the whole confusion matrix; of more, `WORST_CLASSES` are drawn."""

WORST_CLASSES = 20
"""Classes with the most errors, of those that are too many to draw."""

MOST_CURVES = len(SERIES)
"""Finalists of the learning curves."""

_ROW_INCHES = 0.44
_SHEET_COLUMNS = 5
_SHEET_CELL = (82, 108)  # points

# Configurations with intervals.


@drawing
def draw_finalists(
    study: StudyRecord, finalists: Sequence[FinalistRecord], trainings: Sequence[TrainingRecord]
) -> Figure:
    """Draw the test metric of each finalist with its interval, its seeds, and its search score."""
    rows = [one for one in finalists if one.test is not None]
    is_comparable = has_search_scores(study, rows)
    figure, (axes,) = new_figure(0.85 + _ROW_INCHES * len(rows))
    for place, one in enumerate(rows):
        color = VERDICT_COLORS.get(one.verdict, GREY)
        seeds = [
            training.test[f"test_{study.test_metric}"]
            for training in trainings
            if training.trial == one.trial and f"test_{study.test_metric}" in training.test
        ]
        axes.plot(seeds, [place + 0.2] * len(seeds), "|", color=color, ms=5, alpha=0.7)
        if one.test is not None:
            _draw_interval(axes, place, one.test, color)
        if is_comparable and one.search_value is not None:
            # Above the line, where it does not hide the mean.
            axes.plot(one.search_value, place - 0.2, "D", color=INK, mfc="white", ms=4, mew=1.0)
    name_rows(
        axes,
        [
            f"{label(_name_row(study, one), 22)}\n{_name_verdict(one.verdict, one.baseline)}"
            for one in rows
        ],
        [one.verdict == "leader" for one in rows],
    )
    write_values(axes, [format_metric(one.test.mean) for one in rows if one.test is not None])
    axes.set_xlabel(f"{name_test_metric(study.test_metric)} on the test set")
    handles = [
        Line2D([], [], marker="o", color=GREY, ms=5.5, lw=2.2, label="test: mean, 95 %"),
        Line2D([], [], marker="|", ls="", color=GREY, ms=6, label="one seed"),
    ]
    if is_comparable:
        handles.append(
            Line2D([], [], marker="D", ls="", color=INK, mfc="white", ms=5, label="in the search")
        )
    legend_above(figure, handles)
    return figure


def has_search_scores(study: StudyRecord, finalists: Sequence[FinalistRecord]) -> bool:
    """Return whether the figure of the finalists shows the scores of the search.

    A score on another scale, such as a loss, has no place on its axis.
    """
    is_same_scale = study.metric.removeprefix("val_") == study.test_metric
    return is_same_scale and any(one.search_value is not None for one in finalists)


def _name_row(study: StudyRecord, finalist: FinalistRecord) -> str:
    """Return the name of a finalist, with its value of the hyperparameter in question."""
    name = f"trial {finalist.trial}"
    if study.question is None or study.question not in finalist.params:
        return name
    return f"{name}, {format_param(finalist.params[study.question])}"


def _name_verdict(verdict: str, baseline: bool) -> str:
    return f"baseline, {verdict}" if baseline and verdict != "leader" else verdict


@drawing
def draw_compared(rows: Sequence[ComparedRecord], metric: str) -> Figure:
    """Draw the test metric of each configuration of several studies."""
    shown = [one for one in rows if one.test is not None]
    figure, (axes,) = new_figure(0.6 + 0.33 * len(shown))
    for place, one in enumerate(shown):
        assert one.test is not None
        color = PURPLE if one.study is None else VERDICT_COLORS.get(one.verdict, GREY)
        _draw_interval(axes, place, one.test, color)
    names = [f"{label(one.name, 22)}{' (base)' if one.baseline else ''}" for one in shown]
    name_rows(axes, names, [one.verdict == "leader" for one in shown])
    write_values(axes, [format_metric(one.test.mean) for one in shown if one.test is not None])
    axes.set_xlabel(f"{name_test_metric(metric)} on the test set")
    return figure


@drawing
def draw_leaders(
    panels: Mapping[str, Sequence[tuple[StudyRecord, FinalistRecord | None, float | None]]],
) -> Figure:
    """Draw the leaders of several studies, a panel for each data set.

    Args:
        panels: by name of the data set: studies, their leaders, and the best values of their
            searches, which are drawn for studies without a leader.
    """
    heights = [0.62 + 0.34 * len(rows) for rows in panels.values()]
    figure, drawn = new_figure(0.25 + sum(heights), heights)
    is_open = False
    for axes, (name, rows) in zip(drawn, panels.items(), strict=True):
        texts = []
        for place, (_, leader, best) in enumerate(rows):
            if leader is not None and leader.test is not None:
                _draw_interval(axes, place, leader.test, BLUE)
                texts.append(format_metric(leader.test.mean))
            elif best is not None:
                axes.plot(best, place, "D", color=INK, mfc="white", ms=5, mew=1.0)
                texts.append(format_metric(best))
                is_open = True
            else:
                texts.append("none")
        name_rows(axes, [label(study.study, 22) for study, _, _ in rows])
        write_values(axes, texts)
        axes.set_title(label(name, 40))
        axes.set_xlabel(f"{name_test_metric(rows[0][0].test_metric)} on the test set")
    handles = [Line2D([], [], marker="o", color=BLUE, ms=5.5, lw=2.2, label="test: mean, 95 %")]
    if is_open:
        handles.append(
            Line2D([], [], marker="D", ls="", color=INK, mfc="white", label="search alone")
        )
    legend_above(figure, handles)
    return figure


def _draw_interval(axes: Axes, place: int, interval: Interval, color: str) -> None:
    if interval.low is not None and interval.high is not None:
        ends = [interval.low, interval.high]
        axes.plot(ends, [place, place], color=color, lw=2.4, solid_capstyle="round")
    axes.plot(interval.mean, place, "o", color=color, ms=6.5, mec="white", mew=0.8)


# Learning curves.


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
    ends: list[float] = []
    for color, (trial, group) in zip(SERIES, trainings.items(), strict=False):
        curves = stack_curves(metric, group)
        if curves is None:
            continue
        epochs = np.arange(1, curves.shape[1] + 1)
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=color, alpha=0.16, lw=0)
        marker = "o" if len(epochs) == 1 else None
        mean, name = curves.mean(axis=0), f"trial {trial}"
        axes.plot(epochs, mean, color=color, lw=1.7, label=name, marker=marker)
        drawn += curves.ravel().tolist()
        ends += curves[:, -1].tolist()
        training = stack_curves(metric.removeprefix("val_"), group)
        if training is not None and metric.startswith("val_"):
            axes.plot(
                np.arange(1, training.shape[1] + 1),
                training.mean(axis=0),
                color=color,
                lw=1.0,
                alpha=0.75,
                ls=(0, (1.2, 1.6)),
            )
    if drawn:
        is_greater_better = metric == study.metric and study.greater_is_better
        ends.append(max(drawn) if is_greater_better else min(drawn))
    clip_axis(axes, drawn, (), "y", keep=ends)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label(metric, 30))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure


def stack_curves(
    metric: str, trainings: Sequence[TrainingRecord]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return curves as a table (seeds, epochs) up to the shortest; None without any."""
    curves = [one.curves.get(metric, ()) for one in trainings]
    finite = [curve for curve in curves if len(curve) and None not in curve]
    if not finite:
        return None
    epochs = min(len(curve) for curve in finite)
    return np.array([curve[:epochs] for curve in finite], np.float64)


# Classes.


def choose_classes(classes: Sequence[ClassRecord]) -> list[int]:
    """Return the indices of the classes that the confusion matrix shows."""
    if len(classes) <= MOST_CLASSES:
        return list(range(len(classes)))
    errors = [sum(one.predicted) - one.predicted[place] for place, one in enumerate(classes)]
    worst = sorted(range(len(classes)), key=lambda place: (-errors[place], place))
    return sorted(worst[:WORST_CLASSES])


@drawing
def draw_confusion(classes: Sequence[ClassRecord]) -> Figure:
    """Draw the confusion matrix of the leader: shares of each class, in percent."""
    chosen = choose_classes(classes)
    counts = np.array([[classes[row].predicted[column] for column in chosen] for row in chosen])
    totals = np.array([max(sum(classes[row].predicted), 1) for row in chosen])
    shares = 100.0 * counts / totals[:, None]
    side = min(1.35 + 0.31 * len(chosen), 6.4)
    figure, (axes,) = new_figure(max(side, 2.4), width=max(side + 0.4, 3.0))
    errors = shares.copy()
    np.fill_diagonal(errors, 0.0)
    # The colors tell errors apart, which the diagonal would drown.
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(float(errors.max()), 1.0), aspect="equal")
    size = 8.5 if len(chosen) <= 12 else 6.5 if len(chosen) <= 20 else 5.0
    for row, column in np.ndindex(*shares.shape):
        if counts[row, column] == 0:
            continue
        share = shares[row, column]
        is_dark = row != column and errors[row, column] > 0.6 * errors.max()
        axes.text(
            column,
            row,
            f"{share:.0f}" if share >= 9.5 or len(chosen) > 12 else f"{share:.1f}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if is_dark else INK,
            fontweight="bold" if row == column else "normal",
        )
    names = [label(classes[place].label, 12) for place in chosen]
    is_turned = max(map(len, names)) > (3 if len(names) <= 12 else 1)
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=45 if is_turned else 0,
        ha="right" if is_turned else "center",
        rotation_mode="anchor" if is_turned else None,
    )
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=min(size + 1, 9.5))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def draw_examples(examples: Sequence[ExampleRecord]) -> bytes:
    """Draw test images with their classes and what they are taken for, as a sheet.

    The images are in it as they are recorded: nothing decodes them here.
    """
    width, height = _SHEET_CELL
    shown = [one for one in examples if one.png]
    rows = -(-len(shown) // _SHEET_COLUMNS)
    cells = []
    for place, one in enumerate(shown):
        left, top = width * (place % _SHEET_COLUMNS), height * (place // _SHEET_COLUMNS)
        image = quoteattr(f"data:image/png;base64,{one.png}")
        lines = (
            (78, "bold", f"{_cut(one.label)} → {_cut(one.predicted)}"),
            (90, "normal", f"{one.wrong} of {one.networks} err"),
        )
        cells.append(
            f'<image x="{left + 4}" y="{top + 2}" width="64" height="64" href={image} '
            'style="image-rendering:pixelated"/>'
        )
        cells += [
            f'<text x="{left + 4}" y="{top + down}" font-weight="{weight}">{escape(text)}</text>'
            for down, weight, text in lines
        ]
    total = width * _SHEET_COLUMNS, height * rows
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total[0]}pt" height="{total[1]}pt" '
        f'viewBox="0 0 {total[0]} {total[1]}" font-family="Helvetica,Arial,DejaVu Sans,sans-serif" '
        f'font-size="9"><rect width="100%" height="100%" fill="#fff"/>{"".join(cells)}</svg>\n'
    ).encode()


def _cut(text: str) -> str:
    line = escape_line(text)
    return line if len(line) <= 7 else f"{line[:6]}…"
