"""Artificial study results for tests of their display."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from assay import StudyResult
from assay.search.importances import Effect, Importance, ImportanceReport

STATES = ["complete", "complete", "pruned", "complete", "failed: crashed (SIGKILL)", "complete"]


def importance_report(
    metric: str, names: Sequence[str] = ("learning_rate", "activation"), **changes: Any
) -> ImportanceReport:
    """Return a report in which an effect of the first hyperparameter is shown."""
    first, *others = names
    shares = {
        first: Importance(0.6, 0.4, 0.75, 0.001, True),
        **{name: Importance(0.1, 0.0, 0.3, 0.2, False) for name in others},
    }
    effects = {name: [Effect("low", 2, 0.5, 0.1), Effect("high", 1, 0.9, None)] for name in names}
    report = ImportanceReport("ranks", metric, trials=30, shares=shares, effects=effects)
    return dataclasses.replace(report, **changes)


def study(objectives: tuple[str, ...] = ("maximize val_accuracy",), **changes: Any) -> StudyResult:
    """Return a study of six trials with four epochs; `changes` replaces fields."""
    random = np.random.default_rng(0)
    values = {
        "val_accuracy": [0.5, 0.8, 0.3, 0.95, None, 0.9],
        "parameters": [100.0, 400.0, 50.0, 90000.0, None, 2000.0],
    }
    metrics = [text.split()[1] for text in objectives]
    trials = pd.DataFrame(
        {
            "state": STATES,
            **{metric: values[metric] for metric in metrics},
            "learning_rate": [1e-4, 1e-3, 1e-2, 3e-2, 0.1, 2e-3],
            "activation": ["relu", "tanh", "relu", "relu", "tanh", "<script>"],
            "seed": range(6),
        },
    ).rename_axis("trial")
    epochs = pd.DataFrame(
        [
            {
                "trial": trial,
                "epoch": epoch,
                "val_accuracy": 1 - random.random() / epoch,
                "val_loss": 1 / epoch,
            }
            for trial in (0, 1, 2, 3, 5)
            for epoch in range(1, 5)
        ]
    )
    single = len(objectives) == 1
    fields: dict[str, Any] = {
        "study": "a <b>$\\study$</b>",
        "experiment": "digits-mlp",
        "tracking_uri": "sqlite:///mlflow.db",
        "parent_run_id": "0" * 32,
        "objectives": objectives,
        "counts": {"complete": 4, "pruned": 1, "failed": 1, "interrupted": 0},
        "best": {"number": 3, "value": 0.95, "params": {"learning_rate": 3e-2}, "run_id": "1" * 32}
        if single
        else None,
        "pareto": None
        if single
        else [{"number": n, "values": (), "params": {}, "run_id": None} for n in (0, 1, 3, 5)],
        "importance": {metric: importance_report(metric) for metric in metrics},
        "seconds": 1.0,
        "trials": trials,
        "epochs": epochs,
        "finalists": pd.DataFrame(columns=["trial", "seed", *metrics]),
    }
    return StudyResult(**{**fields, **changes})


BOTH = ("maximize val_accuracy", "minimize parameters")
