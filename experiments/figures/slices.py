"""The value against each hyperparameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from experiments.figures.style import Picture, blank, label, spans_decades
from models.errors import RequestError
from models.names import check_name
from search.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

    from experiments.study_result import StudyResult

_COLUMNS = 3
_COLOURS = "cividis_r"
"""Later trials are darker; even to the eye, and to the colour-blind (Nunez, Anderton, Renslow 2018)."""


def slices(result: StudyResult, metric: str | None = None) -> Picture:
    """Draw a panel a hyperparameter: an objective's value of each complete or pruned trial against its setting.

    Raises:
        RequestError: the metric is no objective, or nothing was searched.
    """
    metrics = [Objective.read(text).metric for text in result.objectives]
    chosen = check_name("objective's metric", metric or metrics[0], metrics)
    names = result.searched
    if not names:
        raise RequestError(f"a figure of slices takes hyperparameters that were searched; {result.study} has none.")
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    picture, panels = blank(rows, columns, panel=(3.6, 3.0))
    known = result.trials[result.trials[chosen].notna()].astype({chosen: float})
    colours = Normalize(0, max(known.index, default=0))
    for axes, name in zip(panels, names, strict=False):
        _draw(axes, known, name, chosen, colours)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(label(chosen))
    picture.colorbar(ScalarMappable(colours, _COLOURS), ax=panels[: len(names)], label="trial")
    picture.suptitle(f"{result.study}: {chosen} by hyperparameter", parse_math=False)
    return picture


def _draw(axes: Axes, trials: pd.DataFrame, name: str, metric: str, colours: Normalize) -> None:
    given = trials[trials[name].notna()]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given[name].tolist())
    settings = given[name].tolist() if numeric else [str(value) for value in given[name]]
    axes.scatter(
        settings, given[metric], c=given.index, cmap=_COLOURS, norm=colours, s=26, edgecolors="white", linewidths=0.4
    )
    axes.set_xlabel(name)
    if numeric and spans_decades(settings):
        axes.set_xscale("log")
    if spans_decades(given[metric].tolist()):
        axes.set_yscale("log")
