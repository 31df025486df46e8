"""What is known of a study, for notebooks and for `assay show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from assay.experiments.formatting import measured, shown

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_ROWS = 20
"""Trials that the summary shows at most: half from the beginning, half from the end."""


@dataclass(frozen=True)
class StudyResult:
    """What is known of a study.

    Attributes:
        study: its name.
        experiment: its experiment's name; "unknown" if neither this home nor MLflow knows it.
        tracking_uri: MLflow's store, its password masked.
        parent_run_id: the study's own run there; None if it has none.
        objectives: what was made better, such as "maximize val_accuracy".
        counts: trials that are complete, pruned and failed, of the whole study.
        best: the best complete trial: number, value, params, run_id. None with several objectives
            or no complete trial.
        pareto: with several objectives the trials that no other dominates: number, values, params,
            run_id. Else None.
        importances: by objective metric what each hyperparameter mattered: shares that sum to 1,
            the greatest first.
        seconds: how long the sweep took that returned this; None if the study was only read.
        trials: a row a trial, by its number in the index `trial`. Columns: state ("complete",
            "pruned", "failed: REASON", "running"), each objective's metric as the trial ended, each
            searched name, then seed, origin, epochs (that were trained), its costs in seconds,
            weights and bytes, error, run_id. Where a searched name is also one of these last, such
            as epochs, the column is the searched one's. Where any has them: restored_epoch (whose
            weights early stopping kept), resumed_epoch (after which a checkpoint had it go on).
        epochs: a row an epoch. Columns: trial, epoch (from 1), each metric, seconds. Empty for
            another home's study.
        finalists: a row a training of a winner with another seed. Columns: trial, seed, each
            objective's metric. Empty until winners are trained again.
        importance: how importances were told.
    """

    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    objectives: tuple[str, ...]
    counts: Mapping[str, int]
    best: Mapping[str, Any] | None
    pareto: Sequence[Mapping[str, Any]] | None
    importances: Mapping[str, Mapping[str, float]]
    seconds: float | None
    trials: pandas.DataFrame
    epochs: pandas.DataFrame
    finalists: pandas.DataFrame
    importance: str = "ped-anova"

    def to_record(self) -> dict[str, Any]:
        """Return what `assay sweep --json` prints, under the same keys."""
        single = next(iter(self.importances.values()), {})
        return {
            "study": self.study,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "parent_run_id": self.parent_run_id,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "trials": dict(self.counts),
            "best": None if self.best is None else dict(self.best),
            "pareto": None if self.pareto is None else [dict(trial) for trial in self.pareto],
            "objectives": list(self.objectives),
            "importances": dict(single if self.pareto is None else self.importances),
        }

    @property
    def searched(self) -> tuple[str, ...]:
        """The names that were searched: in `trials` they stand between the objectives' metrics and
        the seed.
        """
        columns = list(self.trials)
        return tuple(columns[1 + len(self.objectives) : columns.index("seed")])

    def plot_history(self) -> Figure:
        """Draw the value of each trial and the best so far, a panel an objective."""
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.history(self)

    def plot_curves(self, metric: str | None = None) -> Figure:
        """Draw a metric by epoch, a line a trial, the best emphasised; None: the objective, or
        "val_loss".

        Raises:
            RequestError: the metric is none that every epoch measures.
        """
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.curves(self, metric)

    def plot_importances(self) -> Figure:
        """Draw how much each hyperparameter mattered, a panel an objective.

        Raises:
            RequestError: there are too few trials to tell.
        """
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.importances(self)

    def plot_slices(self, metric: str | None = None) -> Figure:
        """Draw an objective's value against each hyperparameter; None: the first objective's.

        Raises:
            RequestError: the metric is no objective, or nothing was searched.
        """
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.slices(self, metric)

    def plot_front(self, x: str | None = None, y: str | None = None) -> Figure:
        """Draw two objectives against each other, the front emphasised; None: the second across,
        the first up.

        Raises:
            RequestError: the study has one objective, or a metric is none of them.
        """
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.front(self, x, y)

    def _repr_html_(self) -> str:
        """Return a short summary and the table of trials, as a notebook shows it. All text is
        escaped.
        """
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        lines = [
            f"<b>{escape(self.study)}</b> ({escape(self.experiment)}; {escape(', '.join(self.objectives))})",
            f"trials: {escape(counts)}",
            escape(_best(self)),
        ]
        table = self.trials.to_html(max_rows=_ROWS, escape=True, border=0, na_rep="")
        return f"<div><p>{'<br>'.join(filter(None, lines))}</p>{table}</div>"


def _best(result: StudyResult) -> str:
    if result.pareto is not None:
        return f"Pareto front: trials {', '.join(str(leader['number']) for leader in result.pareto) or 'none yet'}"
    if result.best is None:
        return "no trial is complete yet"
    settings = ", ".join(f"{name}={shown(value)}" for name, value in result.best["params"].items())
    return f"best: {measured(result.best['value'])} (trial {result.best['number']}): {settings}"
