"""Studies recorded without training, in Optuna and in a journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from assay.experiments.workspace import StorePaths
from assay.search.events import EpochEnded, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal

STUDY_ID = "1d"
COSTS = {"parameters": 10, "train_seconds": 0.4, "epoch_seconds": 0.2, "peak_memory_bytes": 1024}
HOSTILE = "boom [red]bold[/red] \x1b[31m<script>\nsecond line"
WIDTHS = CategoricalDistribution(["[8, 4]", "[16]"])


def record_study(
    store_paths: StorePaths, name: str, objectives: Sequence[str], ends: Sequence[TrialEnded | None]
) -> None:
    """Record a study of trials with two epochs and these ends; None is still running."""
    study = optuna.create_study(
        study_name=name,
        storage=store_paths.storage,
        directions=[objective.split()[0] for objective in objectives],
    )
    study.set_user_attr("assay.study_id", STUDY_ID)
    study.set_user_attr("assay.identity", {"objectives": list(objectives)})
    text = '[search]\nimportance = "mdi"\n'
    opened = StudyOpened(
        study=name, study_id=STUDY_ID, experiment="mine", provenance={}, text=text, data={}
    )
    with Journal(store_paths.workspace.journal(name)) as journal:
        journal.append(opened)
        for number, end in enumerate(ends):
            _record_trial(study, journal, number, end)


def _record_trial(
    study: optuna.Study, journal: Journal, number: int, end: TrialEnded | None
) -> None:
    searched: dict[str, Any] = {
        "hidden_units": [8, 4] if number % 2 == 0 else [16],
        "batch_size": 16 + number,
    }
    params = {**searched, "epochs": 2}
    journal.append(
        TrialBegun(trial=number, seed=number, params=params, searched=searched, origin="tpe")
    )
    for epoch in (1, 2):
        metrics = {"val_accuracy": 0.25 * epoch, "loss": 1.0 / epoch}
        journal.append(EpochEnded(trial=number, epoch=epoch, metrics=metrics, seconds=0.2))
    states = {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    attributes = {"assay.seed": number, "assay.origin": "tpe"}
    if end is not None:
        journal.append(end)
        attributes["assay.state"] = end.label
    study.add_trial(
        create_trial(
            state=TrialState.RUNNING if end is None else states[end.state],
            values=list(end.values) if end is not None and end.state == "complete" else None,
            params={
                "hidden_units": str(searched["hidden_units"]),
                "batch_size": searched["batch_size"],
            },
            distributions={"hidden_units": WIDTHS, "batch_size": IntDistribution(1, 128)},
            user_attrs=attributes,
        )
    )


def complete(number: int, *values: float) -> TrialEnded:
    """Return the end of a complete trial."""
    return TrialEnded(trial=number, state="complete", values=values, metrics=COSTS)


def pruned(number: int) -> TrialEnded:
    """Return the end of a pruned trial."""
    return TrialEnded(trial=number, state="pruned", metrics=COSTS)


def failed(number: int) -> TrialEnded:
    """Return the end of a trial whose error contains control codes and markup."""
    return TrialEnded(trial=number, state="failed", reason="crashed", error=HOSTILE)


ONE = ["maximize val_accuracy"]
TWO = ["maximize val_accuracy", "minimize parameters"]
ONE_ENDS = [complete(0, 0.5), complete(1, 0.9), pruned(2), failed(3), None]
TWO_ENDS = [complete(0, 0.5, 10), complete(1, 0.9, 20), complete(2, 0.4, 30), failed(3)]
