"""What is known of one trial, or of a single run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.experiments.results.frames import COST_COLUMNS, EPOCH_COLUMNS
from assay.experiments.results.history import TrialHistory, read_history
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.results.study import StudyResult
from assay.experiments.tracking.lookup import RunRecord, find_run
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.system.urls import masked

_CHOSEN = (*COST_COLUMNS, *EPOCH_COLUMNS)


@dataclass(frozen=True)
class TrialResult:
    """One training.

    Attributes:
        study: its study's name; None for a single run.
        number: its number there; None for a single run.
        experiment: its experiment's name.
        tracking_uri: MLflow's store, its password masked.
        run_id: its run there; None if it has none.
        state: complete, pruned, "failed: REASON" or running.
        seed: where its randomness follows from; None if nobody knows.
        origin: whose idea it was: a sampler's name, "baseline" and the like.
        params: every hyperparameter, searched or fixed; for another home's study only what was
            searched.
        values: each objective's value at its end; empty for a single run.
        costs: what it took, in seconds, weights and bytes.
        curve: each metric's value by epoch, from the first.
        error: the text of what went wrong.
    """

    study: str | None
    number: int | None
    experiment: str
    tracking_uri: str
    run_id: str | None
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


def trial_of_study(
    study: StudyResult, number: int, row: Mapping[str, Any], store_paths: StorePaths
) -> TrialResult:
    """Return a trial of a study.

    Args:
        study: the study.
        number: the trial's number.
        row: its row of `study.trials`, what is missing as None.
        store_paths: where the study was read.
    """
    from assay.search.study_record import STUDY_ID  # here, because it imports Optuna

    study_id = load_optuna_study(study.study, store_paths).user_attrs.get(STUDY_ID)
    known = read_history(store_paths.workspace.journals(study.study), study_id).trials.get(number)
    metrics = [objective.partition(" ")[2] for objective in study.objectives]
    names = [name for name in row if name not in ("trial", "state", *metrics)]
    return TrialResult(
        study=study.study,
        number=number,
        experiment=study.experiment,
        tracking_uri=study.tracking_uri,
        run_id=row["run_id"],
        state=row["state"],
        seed=row["seed"],
        origin=row["origin"],
        params={name: row[name] for name in names[: names.index("seed")]}
        if known is None
        else known.begun.params,
        values={metric: row[metric] for metric in metrics if row[metric] is not None},
        costs=_costs(row if known is None or known.end is None else known.end.metrics),
        curve=_curve(known),
        error=row["error"],
    )


def trial_of_run(run_id: str, store_paths: StorePaths) -> TrialResult | str:
    """Return the training that an MLflow run records; if it is a study's own run, the study's name.

    Raises:
        RequestError: there is no such run, or the store can't be reached.
    """
    run = find_run(store_paths, run_id)
    if run is None:
        raise RequestError(
            f"there is no run {run_id} in {masked(store_paths.tracking_uri)}: check the id, or name another "
            "--tracking-uri."
        )
    if run.study is not None and run.trial is None:
        return run.study
    return _of_record(run, masked(store_paths.tracking_uri))


def _of_record(run: RunRecord, tracking_uri: str) -> TrialResult:
    seed = run.tags.get("assay.seed")
    return TrialResult(
        study=run.study,
        number=run.trial,
        experiment=run.experiment,
        tracking_uri=tracking_uri,
        run_id=run.run_id,
        state=run.tags.get(
            "assay.state", "running" if run.status == "RUNNING" else run.status.lower()
        ),
        seed=None if seed is None else int(seed),
        origin=run.tags.get("assay.origin"),
        params=run.params,
        values={"value": run.ends["value"]}
        if "value" in run.ends and run.study is not None
        else {},
        costs=_costs(run.ends),
        curve=run.curve,
        error=run.tags.get("assay.error"),
    )


def _costs(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in _CHOSEN if metrics.get(name) is not None}


def _curve(known: TrialHistory | None) -> dict[str, list[float]]:
    epochs = [] if known is None else known.epochs
    return {
        name: [epoch.metrics[name] for epoch in epochs]
        for name in (epochs[0].metrics if epochs else {})
    }
