"""How a sweep or a single training ended, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assay.experiments.tracking.lookup import StoredModel
from assay.search.events import Closing, EpochEnded
from assay.search.importances import ImportanceReport, to_importance_record
from assay.search.objective import Objectives, Values
from assay.search.space import Configuration

if TYPE_CHECKING:
    import pandas as pd

    from assay.experiments.evaluation.study_evaluation import StudyEvaluation


@dataclass(frozen=True)
class RunStatus:
    """How a sweep or a single training ended.

    Attributes:
        closing: "finished", "failed" or "interrupted", as the journal has it.
        search_failure: why the work failed; None if it did not.
        search_exit_code: exit code of the work: 0, 1, or 128 and the number of the signal.
        untracked: why MLflow does not have everything yet; None if it has.
    """

    closing: Closing
    search_failure: str | None = None
    search_exit_code: int = 0
    untracked: str | None = None

    @property
    def exit_code(self) -> int:
        """Exit code of the command: also 1 if only MLflow does not have everything yet."""
        return self.search_exit_code or int(self.untracked is not None)

    @property
    def failure(self) -> str | None:
        """Why the command failed, in one line; None if it did not."""
        if self.search_failure is not None or self.untracked is None:
            return self.search_failure
        return (
            f"MLflow has not taken everything ({self.untracked.strip()}): nothing is lost; run the "
            "same command again, or 'assay doctor --fix', to pass on the rest from the journal."
        )


@dataclass(frozen=True)
class RankedTrial:
    """One of the best complete trials of a study.

    Attributes:
        number: Optuna's number of the trial.
        values: value of each objective.
        params: searched hyperparameters by name.
        run_id: its run in MLflow; None if MLflow does not have it yet.
        model: what MLflow has of its model.
    """

    number: int
    values: Values
    params: Configuration
    run_id: str | None
    model: StoredModel = field(default_factory=StoredModel)

    def to_record(self, single: bool) -> dict[str, Any]:
        """Return it as `--json` prints it, with `value`, or `values` for several objectives."""
        value: dict[str, Any] = (
            {"value": self.values[0]} if single else {"values": list(self.values)}
        )
        record = {"number": self.number, **value, "params": dict(self.params)}
        # With one objective the model is the study's.
        model = {} if single else {"model": self.model.address}
        return {**record, "run_id": self.run_id, **model}


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        status: how it ended.
        study: name of the study.
        experiment: name of the experiment.
        tracking_uri: MLflow's store, without its password.
        parent_run_id: the study's own run in MLflow; None if MLflow does not have it yet.
        seconds: wall time of the sweep.
        trials: number of complete, pruned, failed and interrupted trials of the whole study.
        objectives: what was optimized.
        best_trials: the best complete trial; with several objectives the Pareto front, ranked by
            the first of them.
        importance: importance and effects of hyperparameters, by the objective's metric.
        wanted: number of complete or pruned trials at which the study is done.
        exhausted: whether every configuration has been tried.
        preflight: what was understood of data and model: see `Preflight.to_record`.
        evaluation: what the best value rests on, and the checks; None if it was not evaluated.
    """

    status: RunStatus
    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    seconds: float
    trials: Mapping[str, int]
    objectives: Objectives
    best_trials: Sequence[RankedTrial]
    importance: Mapping[str, ImportanceReport]
    wanted: int
    exhausted: bool
    preflight: Mapping[str, Any] = field(default_factory=dict)
    evaluation: StudyEvaluation | None = None

    @property
    def done(self) -> int:
        """Number of complete and pruned trials."""
        return self.trials["complete"] + self.trials["pruned"]

    @property
    def best(self) -> RankedTrial | None:
        """The best complete trial; None without one, or with several objectives."""
        is_single = self.objectives.single is not None
        return self.best_trials[0] if self.best_trials and is_single else None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        single = self.objectives.single is not None
        return {
            "study": self.study,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "parent_run_id": self.parent_run_id,
            "seconds": round(self.seconds, 3),
            "trials": dict(self.trials),
            "best": None if self.best is None else self.best.to_record(single),
            "model": None if self.best is None else self.best.model.address,
            "pareto": None if single else [best.to_record(single) for best in self.best_trials],
            "objectives": [str(objective) for objective in self.objectives.each],
            **to_importance_record(self.importance, single),
            **({} if self.evaluation is None else self.evaluation.to_record()),
            "preflight": dict(self.preflight),
        }


@dataclass(frozen=True)
class RunResult:
    """What a single training gave.

    Attributes:
        status: how it ended.
        experiment: name of the experiment.
        tracking_uri: MLflow's store, without its password.
        run_id: its run in MLflow; None if MLflow does not have it yet.
        params: every hyperparameter by name.
        metrics: metrics of the last epoch, or with early stopping of the epoch that it kept
            (`restored_epoch`), then costs (seconds, bytes, number of weights).
        state: "complete", or "failed: REASON".
        error: text of the error; None without one.
        history: the epochs, in order.
        model: address of its model in MLflow; None if MLflow does not have it.
        preflight: what was understood of data and model: see `Preflight.to_record`.
    """

    status: RunStatus
    experiment: str
    tracking_uri: str
    run_id: str | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    state: str
    error: str | None
    history: Sequence[EpochEnded] = ()
    model: str | None = None
    preflight: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch: epoch, the metrics of the epoch, and seconds (wall time)."""
        import pandas as pd  # here, because no command needs it before it answers

        rows = [
            {"epoch": ended.epoch, **ended.metrics, "seconds": ended.seconds}
            for ended in self.history
        ]
        return pd.DataFrame(rows, columns=None if rows else ["epoch", "seconds"])

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run_id": self.run_id,
            "model": self.model,
            "params": dict(self.params),
            "metrics": dict(self.metrics),
            "preflight": dict(self.preflight),
        }
