"""A study's own run, as its last closing and MLflow have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.doctor.difference import Difference
from experiments.tracking.model import FOLDER
from experiments.tracking.schema import BEST_TAG, CLOSING_STATUS, PARETO_TAG
from search.events import StudyClosed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class ParentFacts:
    """What MLflow has of a study's own run; `best` is a trial's number, or those of a front."""

    run_id: str
    status: str
    best: str
    has_model: bool


def parent_facts(client: MlflowClient, run: Run) -> ParentFacts:
    """Return what a run has, asking the store for its artifacts."""
    tags = run.data.tags
    return ParentFacts(
        run_id=str(run.info.run_id),
        status=str(run.info.status),
        best=tags.get(BEST_TAG) or tags.get(PARETO_TAG) or "",
        has_model=bool(client.list_artifacts(run.info.run_id, FOLDER)),
    )


def parent_differences(study: str, closed: StudyClosed, parent: ParentFacts) -> Iterator[Difference]:
    """Yield what of a study that was closed its run has otherwise."""
    if parent.status != CLOSING_STATUS[closed.closing]:
        yield Difference(study, None, f"closed as {closed.closing} in the journal, {parent.status} in MLflow")
    best = ", ".join(str(one.trial) for one in closed.best)
    if parent.best != best:
        told = f"best trial {best or 'none'} in the journal, {parent.best or 'none'} in MLflow"
        yield Difference(study, None, told)
    alone = len(closed.best) == 1 and len(closed.best[0].values) == 1
    if alone and closed.best[0].model is not None and not parent.has_model:
        yield Difference(study, None, f"MLflow lacks the model of trial {best}, the best")
