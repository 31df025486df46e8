"""A metric by epoch, of all trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from experiments.figures.style import GREY, VERMILLION, Picture, blank, label, spans_decades, title
from models.names import check_name
from search.objective import COSTS, Objective

if TYPE_CHECKING:
    from experiments.study_result import StudyResult

_EPOCHS_OTHERS = ("trial", "epoch", "seconds")


def curves(result: StudyResult, metric: str | None = None) -> Picture:
    """Draw a metric by epoch, a line a trial, the best of them emphasised.

    Raises:
        RequestError: the metric is none that every epoch measures.
    """
    measured = [name for name in result.epochs if name not in _EPOCHS_OTHERS]
    chosen = check_name("metric of an epoch", metric or _default(result), measured)
    picture, (axes,) = blank()
    leaders = _leaders(result)
    for number, epochs in result.epochs.groupby("trial"):
        if number not in leaders:
            axes.plot(epochs["epoch"], epochs[chosen], color=GREY, alpha=0.45, linewidth=0.9)
    for number in leaders:
        epochs = result.epochs[result.epochs["trial"] == number]
        # A single epoch is a point, which a line alone would not show.
        marker = "o" if len(epochs) == 1 else None
        name = f"best (trial {number})" if len(leaders) == 1 else None
        axes.plot(epochs["epoch"], epochs[chosen], color=VERMILLION, linewidth=2.2, marker=marker, label=name)
    if len(leaders) == 1:
        axes.legend(frameon=False, fontsize="small")
    title(axes, f"{result.study}: {chosen} by epoch")
    axes.set(xlabel="epoch", ylabel=label(chosen))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if spans_decades(list(result.epochs[chosen].dropna())):
        axes.set_yscale("log")
    return picture


def _default(result: StudyResult) -> str:
    metrics = [Objective.read(text).metric for text in result.objectives]
    return next((metric for metric in metrics if metric not in COSTS), "val_loss")


def _leaders(result: StudyResult) -> list[int]:
    found = result.pareto if result.pareto is not None else [result.best] if result.best is not None else []
    return [int(leader["number"]) for leader in found]
