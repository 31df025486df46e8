"""`StudyResult`: a study for notebooks and for `assay show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from assay.experiments.formatting import format_metric, format_param, format_state_counts
from assay.experiments.tracking.schema import RegisteredVersion
from assay.search.importances import ImportanceReport, to_importance_record

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from assay.experiments.evaluation.best_claim import BestClaim
    from assay.experiments.evaluation.study_evaluation import StudyEvaluation

_HTML_ROWS = 20  # of a longer table, the first ten and the last ten are shown


@dataclass(frozen=True)
class StudyResult:
    """A study: its best trials, tables and plots.

    Attributes:
        study: name of the study.
        experiment: name of its experiment; "unknown" if neither home nor MLflow knows it.
        tracking_uri: MLflow's store, without its password.
        parent_run_id: the study's own run in MLflow; None if there is none.
        objectives: what was optimized, such as "maximize val_accuracy".
        counts: number of complete, pruned, failed and interrupted trials.
        best: the best complete trial: number, value, params, run_id. None with several objectives,
            or without a complete trial.
        pareto: the trials of the Pareto front: number, values, params, run_id, model (its address,
            or None). None with one objective.
        model: address of the best trial's model in MLflow, such as "runs:/ID/model". None with
            several objectives, or if MLflow does not have it.
        missing_models: why MLflow does not have the model of a best trial, by its number.
        importance: importance and effects of the hyperparameters, by the metric of each objective,
            also of those whose effect is not shown.
        seconds: wall time of the sweep that returned this; None if the study was only read.
        trials: one row per trial; the index `trial` is its number. Columns: state ("complete",
            "pruned", "failed: REASON", "running"), the metric of each objective at the trial's end,
            each searched hyperparameter, then seed, origin, epochs (number that were trained),
            train_seconds, epoch_seconds, parameters, peak_memory_bytes, error, run_id. If a
            searched hyperparameter has one of these names, the column holds the hyperparameter. If
            any trial has them: restored_epoch (whose weights early stopping kept) and resumed_epoch
            (after which a checkpoint resumed).
        epochs: one row per epoch. Columns: trial, epoch (from 1), each metric, seconds. Empty for a
            study of another home.
        finalists: one row per re-training of the last `assay finalize`. Columns: trial (whose
            configuration it trained), baseline, seed, state, the metric of each objective, the
            metrics on the test set, training (its number), run_id. Empty before.
        evaluation: what the best value rests on, and what the checks find; `claim` and `checks` are
            made of it.
        registered: the model version that the last `assay finalize` registered in MLflow, or why it
            registered none. None if it was not asked to, and before.
        decision: what the last `assay finalize` found: the record of its `--json`. None before, and
            for a study that a sweep returned.
        preflight: what was understood of data and model when the study was last opened. Empty for a
            study of another home.

    Example:
        >>> from assay import load_study
        >>> study = load_study("digits-mlp")
        >>> study.best["params"]
        >>> study.trials.sort_values("val_accuracy")
        >>> study.plot_history()
    """

    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    objectives: tuple[str, ...]
    counts: Mapping[str, int]
    best: Mapping[str, Any] | None
    pareto: Sequence[Mapping[str, Any]] | None
    importance: Mapping[str, ImportanceReport]
    seconds: float | None
    trials: pandas.DataFrame
    epochs: pandas.DataFrame
    finalists: pandas.DataFrame
    model: str | None = None
    missing_models: Mapping[int, str] = field(default_factory=dict)
    registered: RegisteredVersion | str | None = None
    decision: Mapping[str, Any] | None = None
    preflight: Mapping[str, Any] = field(default_factory=dict)
    evaluation: StudyEvaluation | None = None

    def to_record(self) -> dict[str, Any]:
        """Return what `assay sweep --json` prints, with the same keys."""
        return {
            "study": self.study,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "parent_run_id": self.parent_run_id,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "trials": dict(self.counts),
            "best": None if self.best is None else dict(self.best),
            "model": self.model,
            "pareto": None if self.pareto is None else [dict(trial) for trial in self.pareto],
            "objectives": list(self.objectives),
            **to_importance_record(self.importance, is_single=self.pareto is None),
            **({} if self.evaluation is None else self.evaluation.to_record()),
            "preflight": dict(self.preflight),
        }

    @property
    def finalist_runs(self) -> dict[int, str]:
        """Ids of the runs of the last `assay finalize` in MLflow, by the number of the training."""
        if "run_id" not in self.finalists:
            return {}
        known = self.finalists.dropna(subset="run_id")
        return dict(zip(known["training"], known["run_id"], strict=True))

    @property
    def importances(self) -> dict[str, dict[str, float]]:
        """The share of each hyperparameter whose effect is shown, the greatest first.

        They are by the metric of each objective, which has an empty dictionary if none is shown:
        `importance` has the reason.
        """
        return {metric: report.shown for metric, report in self.importance.items()}

    @property
    def effects(self) -> pandas.DataFrame:
        """One row per choice, or part of a range, of each hyperparameter, by objective.

        Columns: metric, hyperparameter, group, n (number of complete trials), mean, sd (of their
        values; NaN for one trial).
        """
        from assay.experiments.results.frames import build_effect_frame  # here, to start faster

        return build_effect_frame(self.importance)

    @property
    def claim(self) -> BestClaim | None:
        """The best value and what it rests on; None without a complete trial."""
        return None if self.evaluation is None else self.evaluation.claim

    @property
    def checks(self) -> pandas.DataFrame:
        """One row per check: name, fired (True, False, or missing if not applicable), text."""
        import pandas  # here, because it takes half a second that no command should wait for

        checks = () if self.evaluation is None else self.evaluation.checks
        rows = [check.to_record() for check in checks]
        frame = pandas.DataFrame(rows, columns=["name", "fired", "text"])
        return frame.astype({"fired": "boolean"})

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the searched hyperparameters."""
        # In `trials` their columns stand between those of the objectives and the seed.
        columns = list(self.trials)
        return tuple(columns[1 + len(self.objectives) : columns.index("seed")])

    def plot_history(self) -> Figure:
        """Plot the value of each trial and the best so far."""
        from assay.experiments.results import plots  # here, because it imports matplotlib

        return plots.plot_history(self)

    def plot_curves(self, metric: str | None = None) -> Figure:
        """Plot a metric by epoch; the best trials stand out.

        Args:
            metric: the metric; None: the first objective that every epoch measures, or "val_loss".

        Raises:
            RequestError: the metric is not measured every epoch.
        """
        from assay.experiments.results import plots  # here for the same reason

        return plots.plot_curves(self, metric)

    def plot_importances(self) -> Figure:
        """Plot the importance of each hyperparameter, one panel per objective.

        Raises:
            RequestError: there are too few complete trials.
        """
        from assay.experiments.results import plots  # here for the same reason

        return plots.plot_importances(self)

    def plot_slices(self, metric: str | None = None) -> Figure:
        """Plot an objective against each hyperparameter.

        Args:
            metric: the metric of an objective; None: of the first one.

        Raises:
            RequestError: the metric is not one of an objective, or nothing was searched.
        """
        from assay.experiments.results import plots  # here for the same reason

        return plots.plot_slices(self, metric)

    def plot_front(self, x: str | None = None, y: str | None = None) -> Figure:
        """Plot two objectives and the Pareto front.

        Args:
            x: the metric of the horizontal axis; None: of the second objective.
            y: the metric of the vertical axis; None: of the first objective.

        Raises:
            RequestError: the study has one objective, or a metric is not one of an objective.
        """
        from assay.experiments.results import plots  # here for the same reason

        return plots.plot_front(self, x, y)

    def _repr_html_(self) -> str:
        """Return a summary and the table of trials as HTML."""
        objectives = escape(", ".join(self.objectives))
        title = f"<b>{escape(self.study)}</b> ({escape(self.experiment)}; {objectives})"
        counts = format_state_counts(self.counts)
        fired = [] if self.evaluation is None else self.evaluation.fired
        importance = [f"importance for {one.summary()}" for one in self.importance.values()]
        paragraphs = [
            (title, [f"trials: {counts}", _format_best(self), *format_models(self)]),
            ("", [] if self.claim is None else self.claim.sentences()),
            ("<b>checks that fire</b>", [f"{check.name}: {check.text}" for check in fired]),
            ("", importance),
            ("<b>finalized</b>", [] if self.decision is None else self.decision["text"]),
        ]
        text = "".join(
            f"<p>{'<br>'.join(filter(None, [head, *map(escape, lines)]))}</p>"
            for head, lines in paragraphs
            if lines
        )
        table = self.trials.to_html(max_rows=_HTML_ROWS, escape=True, border=0, na_rep="")
        return f"<div>{text}{table}</div>"


def format_models(result: StudyResult) -> list[str]:
    """Return lines with the address of the best model, and why MLflow lacks others."""
    lines = [] if result.model is None else [f"model: {result.model}"]
    for number, reason in result.missing_models.items():
        of_trial = "" if result.pareto is None else f" of trial {number}"
        lines.append(f"no model{of_trial} in MLflow: {reason}")
    return lines


def _format_best(result: StudyResult) -> str:
    if result.pareto is not None:
        numbers = ", ".join(str(trial["number"]) for trial in result.pareto)
        return f"Pareto front: trials {numbers or 'none yet'}"
    if result.best is None:
        return "no trial is complete yet"
    best = result.best
    params = ", ".join(f"{name}={format_param(value)}" for name, value in best["params"].items())
    claim = result.claim
    epoch = f", {claim.format_epoch()}" if claim is not None and claim.stopped_early else ""
    trial = f"trial {best['number']}{epoch}"
    return f"best: {format_metric(best['value'])} ({trial}): {params}"
