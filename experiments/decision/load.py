"""Reading what finalize found, from the journal and the predictions in home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.experiments.decision.outcome import Evaluation, evaluate
from assay.experiments.results.finalizes import FinalizeRecord, read_finalizes
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.schema import OBJECTIVE_TAG
from assay.experiments.workspace import StorePaths
from assay.models.errors import DamagedFile
from assay.models.tasks import Task
from assay.search.objective import Objectives


@dataclass(frozen=True)
class FinalizedStudy:
    """A study with its last finalize.

    Attributes:
        study: name of the study.
        study_id: its id.
        record: the last finalize that has verdicts.
        openings: how many times the test set was opened, by an unfinished finalize too.
        folder: the files of its finalists.
        objectives: of the study.
        task: of the study.
    """

    study: str
    study_id: str
    record: FinalizeRecord
    openings: int
    folder: Path
    objectives: Objectives
    task: Task

    def evaluate(self, gap: float | None = None) -> Evaluation:
        """Return what the finalize found; see `evaluation.evaluate`."""
        return evaluate(self.record, self.folder, self.objectives, self.task, gap)


def load_finalized(study: str, store_paths: StorePaths) -> FinalizedStudy | None:
    """Return a study with its last finalize that has verdicts; None if there is none.

    Raises:
        RequestError: there is no such study, or its journal can't be read.
    """
    from assay.search.storage.stored_values import STUDY_ID  # here, because it imports Optuna

    workspace = store_paths.workspace
    study_id = load_optuna_study(study, store_paths).user_attrs.get(STUDY_ID)
    journal = workspace.finalize_journal(study)
    finalizes = read_finalizes(journal, study_id)
    judged = [one for one in finalizes if one.judged is not None]
    if not judged:
        return None
    record = judged[-1]
    return FinalizedStudy(
        study,
        record.opened.study_id,
        record,
        max(
            (one.plan.opening for one in finalizes if one.test_set_opened is not None),
            default=record.plan.opening,
        ),
        workspace.finalists(study),
        Objectives.read(record.opened.provenance.get(OBJECTIVE_TAG, "").split(", ")),
        _read_task(record, journal),
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
