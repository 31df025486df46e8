"""What is asked of a sweep, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.experiments.run.session import Ending
from assay.search.objective import Objectives, Values
from assay.search.space import Configuration

# How a command that trains ended, and whether MLflow has heard of all of it.


_LATER = "the journal has it; the same command, or 'assay doctor --fix', passes on the rest"


@dataclass(frozen=True)
class Outcome:
    """How the work ended; `untracked` says why MLflow does not have everything by now, if it does
    not.
    """

    ending: Ending
    untracked: str | None

    @property
    def exit_code(self) -> int:
        """Return the command's: 1 too if the work is done and MLflow has not heard of all of it."""
        return self.ending.exit_code or int(self.untracked is not None)

    @property
    def failure(self) -> str | None:
        """Return in one line why the work failed, if it did, or why MLflow has not heard of all of
        it.
        """
        if self.ending.failure is not None or self.untracked is None:
            return self.ending.failure
        return f"MLflow has not taken everything ({self.untracked.strip()}): nothing is lost, {_LATER}."


@dataclass(frozen=True)
class RankedTrial:
    """One of the best complete trials: its number, values, what was searched, and its run in
    MLflow.
    """

    number: int
    values: Values
    params: Configuration
    run_id: str | None

    def to_record(self, single: bool) -> dict[str, Any]:
        """Return it as `--json` has it: with its one `value`, or with its `values` in the order of
        the objectives.
        """
        value: dict[str, Any] = (
            {"value": self.values[0]} if single else {"values": list(self.values)}
        )
        return {"number": self.number, **value, "params": dict(self.params), "run_id": self.run_id}


@dataclass(frozen=True)
class SweepResult(Outcome):
    """What a sweep found.

    `trials` counts the whole study. `best_trials` holds the best complete trial, or with several
    objectives the Pareto front, as their first objective ranks it. `importances` are by objective;
    each sum to 1, the greatest first; `importance` names how they were told. `exhausted` says that
    there is no other configuration to try.
    """

    study: str
    experiment: str
    tracking_uri: str
    parent_run_id: str | None
    seconds: float
    trials: Mapping[str, int]
    objectives: Objectives
    best_trials: Sequence[RankedTrial]
    importances: Mapping[str, Mapping[str, float]]
    wanted: int
    exhausted: bool
    importance: str = "ped-anova"

    @property
    def done(self) -> int:
        """Trials that are complete or pruned."""
        return self.trials["complete"] + self.trials["pruned"]

    @property
    def best(self) -> RankedTrial | None:
        """The best complete trial; None if there is none, or several objectives."""
        return (
            self.best_trials[0] if self.best_trials and self.objectives.single is not None else None
        )

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
            "pareto": None if single else [leader.to_record(single) for leader in self.best_trials],
            "objectives": [str(objective) for objective in self.objectives.each],
            "importances": _first(self.importances) if single else dict(self.importances),
        }


def _first(by_objective: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    return next(iter(by_objective.values()), {})
