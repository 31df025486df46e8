"""Finalized studies recorded without training: journals, predictions, Optuna and MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from assay.experiments.decision.files import find_test_files, predictions_file
from assay.experiments.results.finalizes import planned_trainings
from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.recorder import Recorder
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.events import (
    EpochEnded,
    Event,
    FinalistConfiguration,
    FinalistTested,
    FinalizeJudged,
    FinalizePlan,
    RecordedExperiment,
    StudyClosed,
    StudyOpened,
    TestSetOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.journal import Journal

EXAMPLES = 400


def targets(examples: int = EXAMPLES) -> NDArray[np.int32]:
    """Return labels of ten classes."""
    return np.random.default_rng(0).integers(0, 10, examples).astype(np.int32)


@dataclass(frozen=True)
class Configuration:
    """A configuration of a finalized study.

    Attributes:
        trial: number of its trial.
        params: every hyperparameter.
        accuracy: about its share of right answers on the test set.
        validation: about its objective.
        baseline: whether it is a baseline.
        failing: number of trainings that diverge.
        draw: configurations of the same draw and accuracy predict the same.
    """

    trial: int
    params: Mapping[str, Any]
    accuracy: float
    validation: float
    baseline: bool = False
    failing: int = 0
    draw: int = 0


@dataclass(frozen=True)
class FinalizedStudy:
    """A study that was finalized; what can differ from others has a default."""

    name: str
    configurations: Sequence[Configuration]
    seeds: int = 5
    opening: int = 1
    splits: bool = False
    digest: str = "d1"
    task: str = "classification"
    objectives: Sequence[str] = ("maximize val_accuracy",)
    validation_examples: int = 100
    split_seed: int = 0
    targets: NDArray[Any] = field(default_factory=targets)
    provenance: Mapping[str, str] = field(default_factory=dict)
    search_values: Mapping[int, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def study_id(self) -> str:
        """Id of the study."""
        return f"id-{self.name}"

    @property
    def plan(self) -> FinalizePlan:
        """What the finalize trained."""
        return FinalizePlan(
            opening=self.opening,
            top=3,
            seeds=self.seeds,
            splits=self.splits,
            seed=0,
            finalists=tuple(
                FinalistConfiguration(
                    one.trial,
                    dict(one.params),
                    one.baseline,
                    self.search_values.get(one.trial, one.validation),
                )
                for one in self.configurations
            ),
        )

    def opened(self, *, finalize: bool) -> StudyOpened:
        """Return the event that opens the study, or its finalize."""
        split = {"train": 500, "validation": self.validation_examples, "test": len(self.targets)}
        return StudyOpened(
            study=self.name,
            study_id=self.study_id,
            experiment="experiment",
            provenance={
                "assay.task": self.task,
                "assay.objective": ", ".join(self.objectives),
                "assay.backend": "tensorflow",
                "assay.precision": "float32",
                "assay.dataset": "digits",
                "assay.dataset.digest": self.digest,
                "assay.preflight": json.dumps({"split": split}),
                **self.provenance,
            },
            text="title = 'x'",
            resolved=RecordedExperiment(
                f'title = "x"\n[data]\nname = "digits"\nsplit_seed = {self.split_seed}\n'
            ),
            data={"task": self.task, **self.data},
            finalize=self.plan if finalize else None,
        )


def record(study: FinalizedStudy, store_paths: StorePaths, *, in_mlflow: bool = False) -> None:
    """Record a finalized study in home, and in MLflow if asked."""
    created = optuna.create_study(
        study_name=study.name,
        storage=store_paths.storage,
        directions=[objective.split()[0] for objective in study.objectives],
        load_if_exists=True,
    )
    created.set_user_attr("assay.study_id", study.study_id)
    created.set_user_attr("assay.identity", {"objectives": list(study.objectives)})
    folder = store_paths.workspace.finalists(study.name)
    sweep = [study.opened(finalize=False), StudyClosed(closing="finished")]
    events = list(_events(study, folder))
    for path, recorded in (
        (store_paths.workspace.journal(study.name), sweep),
        (store_paths.workspace.finalize_journal(study.name), events),
    ):
        with Journal(path) as journal:
            for event in recorded:
                journal.append(event)
    if in_mlflow:
        track([*sweep, *events], store_paths, folder)


def track(events: Sequence[Event], store_paths: StorePaths, folder: Path | None = None) -> None:
    """Write events to MLflow, with the predictions of a folder of finalists."""
    recorder = Recorder(
        open_client(store_paths.tracking_uri),
        ArtifactGuard.of(store_paths),
        store_paths.workspace.artifacts,
        find_test_files=None if folder is None else lambda number: find_test_files(folder, number),
    )
    recorder.record(events)


def _events(study: FinalizedStudy, folder: Path) -> Iterator[Event]:
    yield study.opened(finalize=True)
    by_trial = {one.trial: one for one in study.configurations}
    failing = {one.trial: one.failing for one in study.configurations}
    start = 100 * (study.opening - 1)
    complete = []
    for number, training in enumerate(planned_trainings(study.plan), start):
        one, index = by_trial[training.finalist], (number - start) // len(by_trial)
        yield TrialBegun(
            trial=number,
            seed=training.seed,
            params={**one.params, "epochs": 2},
            searched=dict(one.params),
            origin=f"finalist {one.trial}",
            finalist=one.trial,
        )
        if failing[one.trial] > 0:
            failing[one.trial] -= 1
            yield TrialEnded(trial=number, state="failed", reason="diverged")
            continue
        value = one.validation + 0.001 * (index - 2)
        yield EpochEnded(trial=number, epoch=1, metrics={"val_accuracy": value}, seconds=0.1)
        values = tuple(10.0 if "parameters" in one else value for one in study.objectives)
        yield TrialEnded(trial=number, state="complete", values=values)
        complete.append((number, one, index))
    leader = max(study.configurations, key=lambda one: one.validation).trial
    yield TestSetOpened(opening=study.opening, leader=leader, trials=tuple(by_trial))
    for number, one, index in complete:
        save_predictions(predictions_file(folder, number), study.targets, one, index)
        yield FinalistTested(trial=number, metrics={"test_accuracy": one.accuracy})
    yield FinalizeJudged(opening=study.opening, leader=leader, verdicts={})
    yield StudyClosed(closing="finished")


def save_predictions(
    path: Path, true: NDArray[Any], configuration: Configuration, index: int
) -> None:
    """Save what a network predicts: right on about `accuracy` of the examples."""
    random = np.random.default_rng([configuration.draw, index])
    wrong = random.random(len(true)) > configuration.accuracy
    predictions = np.where(wrong, true + 1, true).astype(true.dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, predictions=predictions, targets=true)
