"""What mattered: how much of the differences between trials each hyperparameter explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from experiments.figures.style import BLUE, Picture, blank, title
from models.errors import RequestError

if TYPE_CHECKING:
    from experiments.study_result import StudyResult


def importances(result: StudyResult) -> Picture:
    """Draw the importance of each hyperparameter as a bar, the greatest on top, a panel an objective.

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
        axes.bar_label(bars, labels=[f"{share:.0%}" for share in shares.values()], padding=3, fontsize="small")
        title(axes, f"{result.study}: what mattered for {objective}")
        axes.set_xlabel("importance (share of the whole)")
        axes.invert_yaxis()
        axes.set_xlim(0, max(shares.values()) * 1.12 or 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=False, axis="y")
    return picture
