"""`TrialResult`: one trial of a study, or a single run."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.experiments.results.frames import COST_COLUMNS, EPOCH_COLUMNS
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.results.study import StudyResult
from assay.experiments.tracking.lookup import RunRecord, load_run
from assay.experiments.workspace import StorePaths
from assay.search.history import TrialHistory, read_history
from assay.search.system.urls import mask_secrets

_SEED = re.compile(r"[0-9]{1,20}")
_COSTS = (*COST_COLUMNS, *EPOCH_COLUMNS)


@dataclass(frozen=True)
class TrialResult:
    """One training.

    The attributes are the keys of `--json`.

    Attributes:
        study: name of its study; None for a single run.
        number: its number in the study; None for a single run.
        experiment: name of its experiment.
        tracking_uri: MLflow's store, without its password.
        run_id: its run in MLflow; None if there is none.
        model: address of its model in MLflow; None if it is not among the best, or MLflow does not
            have it.
        state: "complete", "pruned", "failed: REASON" or "running".
        seed: its random seed; None if it is not recorded.
        origin: where its configuration comes from: a sampler, "baseline" and the like.
        params: every hyperparameter, searched or fixed; only searched ones for a study of another
            home.
        values: value of each objective at its end, and what was measured on the test set; empty
            for a single run.
        costs: what it took, in seconds, weights and bytes.
        curve: values of each metric by epoch.
        error: text of the error; None without one.
    """

    study: str | None
    number: int | None
    experiment: str
    tracking_uri: str
    run_id: str | None
    model: str | None
    state: str
    seed: int | None
    origin: str | None
    params: Mapping[str, Any]
    values: Mapping[str, float]
    costs: Mapping[str, float]
    curve: Mapping[str, Sequence[float]]
    error: str | None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)


def read_trial_of_study(
    study: StudyResult, number: int, row: Mapping[str, Any], store_paths: StorePaths
) -> TrialResult:
    """Return a trial of a study.

    Args:
        study: the study.
        number: number of the trial.
        row: its row of `study.trials`, with None for missing values.
        store_paths: where the study was read from.
    """
    from assay.search.storage.stored_values import STUDY_ID

    study_id = load_optuna_study(study.study, store_paths).user_attrs.get(STUDY_ID)
    history = read_history(store_paths.workspace.journals(study.study), study_id)
    recorded = history.trials.get(number)
    metrics = [objective.partition(" ")[2] for objective in study.objectives]
    names = [name for name in row if name not in ("trial", "state", *metrics)]
    searched = names[: names.index("seed")]
    end = None if recorded is None else recorded.end
    return TrialResult(
        study=study.study,
        number=number,
        experiment=study.experiment,
        tracking_uri=study.tracking_uri,
        run_id=row["run_id"],
        model=_model_of(study, number),
        state=row["state"],
        seed=row["seed"],
        origin=row["origin"],
        params={name: row[name] for name in searched}
        if recorded is None
        else recorded.begun.params,
        values={metric: row[metric] for metric in metrics if row[metric] is not None},
        costs=_select_costs(row if end is None else end.metrics),
        curve=_epoch_curves(recorded),
        error=row["error"],
    )


def read_trial_of_run(run_id: str, store_paths: StorePaths) -> TrialResult | str:
    """Return an MLflow run as a trial, or the study that it is of.

    Returns:
        The trial, or for a study's own run the name of the study.

    Raises:
        RequestError: there is no such run, or the store can't be reached.
    """
    run = load_run(store_paths, run_id)
    if run.is_study:
        assert run.study is not None
        return run.study
    return _from_run(run, mask_secrets(store_paths.tracking_uri))


def _from_run(run: RunRecord, tracking_uri: str) -> TrialResult:
    seed = run.tags.get("assay.seed")
    state = "running" if run.status == "RUNNING" else run.status.lower()
    # A single run optimizes nothing, so its value is not that of an objective.
    has_value = "value" in run.final_metrics and run.study is not None
    metrics = run.final_metrics
    tested = {name: value for name, value in metrics.items() if name.startswith("test_")}
    return TrialResult(
        study=run.study,
        number=run.trial,
        experiment=run.experiment,
        tracking_uri=tracking_uri,
        run_id=run.run_id,
        model=run.model,
        state=run.tags.get("assay.state", state),
        seed=int(seed) if seed is not None and _SEED.fullmatch(seed) else None,
        origin=run.tags.get("assay.origin"),
        params=run.params,
        values={"value": run.final_metrics["value"], **tested} if has_value else tested,
        costs=_select_costs(run.final_metrics),
        curve=run.epoch_metrics,
        error=run.tags.get("assay.error"),
    )


def _model_of(study: StudyResult, number: int) -> str | None:
    if study.best is not None:
        return study.model if study.best["number"] == number else None
    front = {trial["number"]: trial.get("model") for trial in study.pareto or ()}
    return front.get(number)


def _select_costs(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in _COSTS if metrics.get(name) is not None}


def _epoch_curves(recorded: TrialHistory | None) -> dict[str, list[float]]:
    epochs = [] if recorded is None else recorded.epochs
    names = epochs[0].metrics if epochs else {}
    # An epoch of a foreign journal may lack a metric of the first one.
    return {name: [epoch.metrics.get(name, math.nan) for epoch in epochs] for name in names}
