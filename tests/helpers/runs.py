"""Runs and trials in the stores of a home."""

from __future__ import annotations

from pathlib import Path

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run


def store(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def runs(home: Path, filter_string: str = "") -> list[Run]:
    client = store(home)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, filter_string, max_results=1000))


def trial_runs(home: Path) -> dict[int, Run]:
    found = [run for run in runs(home) if "assay.trial" in run.data.tags]
    by_number = {int(run.data.tags["assay.trial"]): run for run in found}
    assert len(by_number) == len(found), "a trial has more than one run"
    return by_number


def optuna_trials(home: Path, study: str = "digits-mlp") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=study, storage=f"sqlite:///{home / 'optuna.db'}").trials
