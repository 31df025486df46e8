"""Two objectives against each other, and the trials that no other dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.style import GREY, VERMILLION, Picture, blank, label, spans_decades, title
from models.errors import RequestError
from models.names import check_name
from search.objective import Objective

if TYPE_CHECKING:
    from experiments.study_result import StudyResult


def front(result: StudyResult, x: str | None = None, y: str | None = None) -> Picture:
    """Draw two objectives of every complete trial, the Pareto front emphasised.

    Args:
        result: a study of several objectives.
        x: the metric of the objective that runs to the right; None: the second.
        y: of the one that runs up; None: the first.

    Raises:
        RequestError: the study has one objective, or a metric is none of them.
    """
    if result.pareto is None:
        raise RequestError(f"a front takes several objectives; {result.study} has {result.objectives[0]!r} alone.")
    metrics = [Objective.read(text).metric for text in result.objectives]
    across = check_name("objective's metric", x or metrics[1], metrics)
    up = check_name("objective's metric", y or metrics[0], metrics)
    complete = result.trials[result.trials["state"] == "complete"].astype({across: float, up: float})
    on_front = complete.index.isin([leader["number"] for leader in result.pareto])
    picture, (axes,) = blank(panel=(7.0, 4.2))
    for rows, colour, size, name in (
        (complete[~on_front], GREY, 22, "dominated"),
        (complete[on_front].sort_values(across), VERMILLION, 46, "Pareto front"),
    ):
        axes.scatter(rows[across], rows[up], color=colour, s=size, label=name, zorder=3)
    for number, row in complete[on_front].iterrows():
        axes.annotate(str(number), (row[across], row[up]), xytext=(5, 5), textcoords="offset points", fontsize="small")
    title(axes, f"{result.study}: trials of the front by number")
    axes.set(xlabel=label(across), ylabel=label(up))
    if spans_decades(complete[across].tolist()):
        axes.set_xscale("log")
    if spans_decades(complete[up].tolist()):
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize="small")
    return picture
