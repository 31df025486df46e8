"""What a study's result shows of itself in a notebook: a summary, and pictures on request."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, cast

from experiments.progress.state import measured, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.study_result import StudyResult

_ROWS = 20
"""Trials that the summary shows at most: half from the beginning, half from the end."""


class Shown:
    """Makes a `StudyResult` show itself. Figures are matplotlib's, and display in every notebook.

    matplotlib is imported when the first figure is asked for.
    """

    @property
    def searched(self) -> tuple[str, ...]:
        """The names that were searched: in `trials` they stand between the objectives' metrics and the seed."""
        result = self._result()
        columns = list(result.trials)
        return tuple(columns[1 + len(result.objectives) : columns.index("seed")])

    def plot_history(self) -> Figure:
        """Draw the value of each trial and the best so far, a panel an objective."""
        from experiments.figures.history import history

        return history(self._result())

    def plot_curves(self, metric: str | None = None) -> Figure:
        """Draw a metric by epoch, a line a trial, the best emphasised; None: the objective, or "val_loss".

        Raises:
            RequestError: the metric is none that every epoch measures.
        """
        from experiments.figures.curves import curves

        return curves(self._result(), metric)

    def plot_importances(self) -> Figure:
        """Draw how much each hyperparameter mattered, a panel an objective.

        Raises:
            RequestError: there are too few trials to tell.
        """
        from experiments.figures.importances import importances

        return importances(self._result())

    def plot_slices(self, metric: str | None = None) -> Figure:
        """Draw an objective's value against each hyperparameter; None: the first objective's.

        Raises:
            RequestError: the metric is no objective, or nothing was searched.
        """
        from experiments.figures.slices import slices

        return slices(self._result(), metric)

    def plot_front(self, x: str | None = None, y: str | None = None) -> Figure:
        """Draw two objectives against each other, the front emphasised; None: the second across, the first up.

        Raises:
            RequestError: the study has one objective, or a metric is none of them.
        """
        from experiments.figures.front import front

        return front(self._result(), x, y)

    def _repr_html_(self) -> str:
        """Return a short summary and the table of trials, as a notebook shows it. All text is escaped."""
        result = self._result()
        counts = ", ".join(f"{number} {state}" for state, number in result.counts.items())
        lines = [
            f"<b>{escape(result.study)}</b> ({escape(result.experiment)}; {escape(', '.join(result.objectives))})",
            f"trials: {escape(counts)}",
            escape(_best(result)),
        ]
        table = result.trials.to_html(max_rows=_ROWS, escape=True, border=0, na_rep="")
        return f"<div><p>{'<br>'.join(filter(None, lines))}</p>{table}</div>"

    def _result(self) -> StudyResult:
        return cast("StudyResult", self)


def _best(result: StudyResult) -> str:
    if result.pareto is not None:
        return f"Pareto front: trials {', '.join(str(leader['number']) for leader in result.pareto) or 'none yet'}"
    if result.best is None:
        return "no trial is complete yet"
    settings = ", ".join(f"{name}={shown(value)}" for name, value in result.best["params"].items())
    return f"best: {measured(result.best['value'])} (trial {result.best['number']}): {settings}"
