"""What is asked of a sweep, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.execution_request import ExecutionRequest
from experiments.fusing import Fuse
from experiments.outcome import Outcome
from search.objective import Objectives, Values
from search.plan import Tolerance
from search.space import Configuration


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of a sweep beside the experiment itself; None leaves a thing to the experiment or to defaults."""

    study: str | None = None
    workers: int | None = None
    seed: int | None = None
    execution: ExecutionRequest = field(default_factory=ExecutionRequest)
    fuse: Fuse = "auto"
    timeout_seconds: float | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    checkpoint: bool = False
    enqueued: Sequence[Configuration] = ()


@dataclass(frozen=True)
class Leader:
    """One of the best complete trials: its number, values, what was searched, and its run in MLflow."""

    number: int
    values: Values
    params: Configuration
    run_id: str | None

    def to_record(self, single: bool) -> dict[str, Any]:
        """Return it as `--json` has it: with its one `value`, or with its `values` in the order of the objectives."""
        value: dict[str, Any] = {"value": self.values[0]} if single else {"values": list(self.values)}
        return {"number": self.number, **value, "params": dict(self.params), "run_id": self.run_id}


@dataclass(frozen=True)
class SweepResult(Outcome):
    """What a sweep found.

    `trials` counts the whole study. `leaders` holds the best complete trial, or with several objectives the Pareto
    front, as their first objective ranks it. `importances` are by objective; each sum to 1, the greatest first;
    `importance` names how they were told. `exhausted` says that there is no other configuration to try.
    """

    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    seconds: float
    trials: Mapping[str, int]
    objectives: Objectives
    leaders: Sequence[Leader]
    importances: Mapping[str, Mapping[str, float]]
    wanted: int
    exhausted: bool
    importance: str = "ped-anova"

    @property
    def done(self) -> int:
        """Trials that are complete or pruned."""
        return self.trials["complete"] + self.trials["pruned"]

    @property
    def best(self) -> Leader | None:
        """The best complete trial; None if there is none, or several objectives."""
        return self.leaders[0] if self.leaders and self.objectives.single is not None else None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        single = self.objectives.single is not None
        return {
            "study": self.study,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "parent_run_id": self.parent_run_id,
            "seconds": round(self.seconds, 3),
            "trials": dict(self.trials),
            "best": None if self.best is None else self.best.to_record(single),
            "pareto": None if single else [leader.to_record(single) for leader in self.leaders],
            "objectives": [str(objective) for objective in self.objectives.each],
            "importances": _first(self.importances) if single else dict(self.importances),
        }


def _first(by_objective: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    return next(iter(by_objective.values()), {})
