"""A study that several supervisors share."""

from __future__ import annotations

from assay.search.events import TrialEnded
from assay.search.objective import Objectives
from assay.search.plan import StudyRequest
from assay.search.space import read_space
from assay.search.storage.opening import open_storage
from assay.search.study import StudyTrials
from assay.search.workers.protocol import Trial

SPACE = {"units": {"low": 1, "high": 1_000_000}, "kind": ["a", "b"]}

GRID = {"units": [1, 2, 3, 4, 5], "kind": ["a", "b", "c", "d"]}


def asked(name: str, sampler: str = "random", seed: int = 0) -> StudyRequest:
    return StudyRequest(
        name=name,
        space=read_space(GRID if sampler == "grid" else SPACE),
        objectives=Objectives.read(["maximize val_accuracy"]),
        fingerprint={"of": name},
        sampler=sampler,
        pruner="hyperband",
        epochs=4,
        seed=seed,
    )


def opened(
    url: str, name: str, sampler: str = "random", seed: int = 0, wait_for_server: bool = False
) -> StudyTrials:
    return StudyTrials(open_storage(url, wait_for_server), asked(name, sampler, seed))


def tell(
    study: StudyTrials, trial: Trial, state: str = "complete", reason: str | None = None
) -> None:
    values = (0.5,) if state == "complete" else ()
    study.tell(TrialEnded(trial=trial.number, state=state, values=values, reason=reason))  # type: ignore[arg-type]
