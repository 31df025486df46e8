"""Reading what finalize found, from the journal and the predictions in home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.experiments.decision.finalists import Trainings, plan_options
from assay.experiments.decision.outcome import Evaluation, evaluate
from assay.experiments.results.finalizes import (
    FinalizeRecord,
    count_openings,
    read_finalizes,
)
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.schema import OBJECTIVE_TAG
from assay.experiments.workspace import StorePaths
from assay.models.errors import DamagedFile, RequestError
from assay.models.tasks import Task
from assay.search.events import FinalizeJudged
from assay.search.failure_policy import FailurePolicy
from assay.search.objective import Objectives


@dataclass(frozen=True)
class FinalizedStudy:
    """A study with its last finalize that has verdicts.

    Attributes:
        study: name of the study.
        study_id: its id.
        record: the finalize.
        verdicts: what it found.
        earlier: verdicts of the finalizes before, the first one first.
        openings: how many times the test set was opened, by an unfinished finalize too.
        folder: the files of its finalists.
        objectives: of the study.
        task: of the study.
    """

    study: str
    study_id: str
    record: FinalizeRecord
    verdicts: FinalizeJudged
    earlier: tuple[FinalizeJudged, ...]
    openings: int
    folder: Path
    objectives: Objectives
    task: Task

    def has_trained(self, trial: int) -> bool:
        """Return whether a trial is one of those whose configurations were trained again."""
        return any(one.trial == trial for one in self.record.plan.finalists)

    def registered_run(self, runs: Mapping[int, str]) -> str | None:
        """Return the run of the network that was to be registered; None if there is none.

        Args:
            runs: the runs of the trainings, by their number.
        """
        registration = self.verdicts.registration
        if registration is None or registration.unsaved is not None:
            return None
        return runs.get(registration.training)

    def evaluate(self, gap: float | None = None) -> Evaluation:
        """Return what the finalize found; see `outcome.evaluate`."""
        return evaluate(self.record, self.folder, self.objectives, self.task, gap)


@dataclass(frozen=True)
class UnfinishedFinalize:
    """A finalize without verdicts: it is at work, or was interrupted.

    Attributes:
        opening: which opening of the study's test set it is, from 1.
        is_opened: whether the test set was opened for it.
        options: the options that it was started with.
        trained: number of trainings that need not be done again.
        trainings: number of trainings in all.
    """

    opening: int
    is_opened: bool
    options: tuple[str, ...]
    trained: int
    trainings: int

    def to_record(self) -> dict[str, Any]:
        """Return what `assay show --json` prints."""
        return {
            "opening": self.opening,
            "test_set_opened": self.is_opened,
            "options": list(self.options),
            "trained": self.trained,
            "trainings": self.trainings,
        }


def load_finalizes(
    study: str, store_paths: StorePaths
) -> tuple[FinalizedStudy | None, UnfinishedFinalize | None]:
    """Return the last finalize of a study that has verdicts, and one that has none yet.

    Raises:
        RequestError: there is no such study, or its journal can't be read.
    """
    from assay.search.storage.stored_values import STUDY_ID  # here, because it imports Optuna

    workspace = store_paths.workspace
    study_id = load_optuna_study(study, store_paths).user_attrs.get(STUDY_ID)
    journal = workspace.finalize_journal(study)
    records = read_finalizes(journal, study_id)
    judged = [(one, one.judged) for one in records if one.judged is not None]
    unfinished = None
    if records and records[-1].judged is None:
        unfinished = _describe_unfinished(records[-1])
    if not judged:
        return None, unfinished
    record, verdicts = judged[-1]
    finalized = FinalizedStudy(
        study,
        record.opened.study_id,
        record,
        verdicts,
        tuple(earlier for _, earlier in judged[:-1]),
        count_openings(records),
        workspace.finalists(study),
        Objectives.read(record.opened.provenance.get(OBJECTIVE_TAG, "").split(", ")),
        _read_task(record, journal),
    )
    return finalized, unfinished


def read_evaluation(
    finalized: FinalizedStudy | None,
) -> tuple[Evaluation | None, str | None]:
    """Return what a finalize found, and why that can't be read; neither without a finalize."""
    if finalized is None:
        return None, None
    try:
        return finalized.evaluate(), None
    except RequestError as error:
        return None, str(error)


def _describe_unfinished(record: FinalizeRecord) -> UnfinishedFinalize:
    plan = record.plan
    is_deterministic = record.opened.provenance.get("assay.deterministic") == "yes"
    trainings = Trainings(plan, record, 0, FailurePolicy())
    return UnfinishedFinalize(
        opening=plan.opening,
        is_opened=record.test_set_opened is not None,
        options=(*plan_options(plan), *(["--deterministic"] if is_deterministic else [])),
        trained=trainings.count_done(),
        trainings=trainings.total,
    )


def _read_task(record: FinalizeRecord, journal: Path) -> Task:
    match record.opened.data.get("task"):
        case "classification":
            return "classification"
        case "regression":
            return "regression"
        case other:
            raise DamagedFile(
                f"{journal}: the data's task must be classification or regression; received "
                f"{other!r:.40}."
            )
