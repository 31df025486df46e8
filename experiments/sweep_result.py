"""What is asked of a sweep, and what it found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.experiment import Configuration
from experiments.session import Ending


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of a sweep beside the experiment itself; None leaves a thing to the experiment or to defaults."""

    study: str | None = None
    workers: int | None = None
    seed: int | None = None
    backend: str | None = None
    timeout_seconds: float | None = None
    failures_limit: int = 5
    enqueued: Sequence[Configuration] = ()


@dataclass(frozen=True)
class Best:
    """The best complete trial: its number, the objective's value, what was searched, and its run in MLflow."""

    number: int
    value: float
    params: Mapping[str, Any]
    run_id: str | None


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    `trials` counts the whole study. `importances` sum to 1, the greatest first; `importance` names how they were told.
    `untracked` says why MLflow does not have everything by now, if it does not.
    """

    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    seconds: float
    trials: Mapping[str, int]
    best: Best | None
    importances: Mapping[str, float]
    wanted: int
    untracked: str | None
    ending: Ending
    importance: str = "ped-anova"

    @property
    def done(self) -> int:
        """Trials that are complete or pruned."""
        return self.trials["complete"] + self.trials["pruned"]

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "study": self.study,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "parent_run_id": self.parent_run_id,
            "seconds": round(self.seconds, 3),
            "trials": dict(self.trials),
            "best": None if self.best is None else dataclasses.asdict(self.best),
            "importances": dict(self.importances),
        }
