"""The value of each trial, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.figures.style import BLUE, GREY, VERMILLION, Picture, blank, label, spans_decades, title
from search.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

    from experiments.study_result import StudyResult


def history(result: StudyResult) -> Picture:
    """Draw the value of every trial that has one by the trial's number, a panel an objective."""
    objectives = [Objective.read(text) for text in result.objectives]
    picture, panels = blank(rows=len(objectives))
    for axes, objective in zip(panels, objectives, strict=True):
        _draw(axes, result.trials, objective)
    title(panels[0], f"{result.study}: every trial")
    panels[-1].set_xlabel("trial")
    return picture


def _draw(axes: Axes, trials: pd.DataFrame, objective: Objective) -> None:
    known = trials[trials[objective.metric].notna()]
    known = known.astype({objective.metric: float})  # whole numbers of which some are missing are a type of their own
    complete, pruned = known[known["state"] == "complete"], known[known["state"] == "pruned"]
    if len(pruned):
        axes.plot(pruned.index, pruned[objective.metric], "x", color=GREY, markersize=5, label="pruned")
    axes.plot(complete.index, complete[objective.metric], "o", color=BLUE, markersize=5, label="complete")
    values = complete[objective.metric].sort_index()
    best = values.cummax() if objective.direction == "maximize" else values.cummin()
    axes.step(best.index, best, where="post", color=VERMILLION, linewidth=1.5, label="best so far")
    axes.set_ylabel(label(objective.metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if spans_decades(list(known[objective.metric])):
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize="small")
