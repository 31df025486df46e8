"""Search phases: a list of configurations, trained by the workers of a real sweep, once those are up."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.experiments.run.session import Session
from assay.search.artifacts import ModelStore
from assay.search.events import TrialEnded
from assay.search.journal import Journal
from assay.search.objective import Values
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.workers.protocol import Executor, Trial
from tests.benchmarks.processes import MeasureError


@dataclass
class Listed:
    """A source of trials that have been thought of before, each tried once and none pruned."""

    configurations: Sequence[Mapping[str, Any]]
    asked: int = 0
    ends: list[TrialEnded] = field(default_factory=list)

    def ask(self) -> Trial:
        """Return the next."""
        self.asked += 1
        return Trial(
            self.asked - 1, self.configurations[self.asked - 1], seed=self.asked, origin="listed"
        )

    def count_done(self) -> int:
        """Return how many have ended well."""
        return sum(end.state != "failed" for end in self.ends)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Never prune."""
        return False

    def tell(self, end: TrialEnded) -> None:
        """Keep the end."""
        self.ends.append(end)

    def enqueue_retry(self, trial: Trial) -> None:
        """Don't: a failure is no figure."""

    def has_next(self) -> bool:
        """Return whether there is another."""
        return self.asked < len(self.configurations)

    def admits(self, number: int, values: Values) -> bool:
        """Keep no model: that costs both sides the same."""
        return False

    def best_trials(self) -> Mapping[int, Values]:
        """Return nothing: no model is kept."""
        return {}


def wait_for(executor: Executor, trials: int) -> Sequence[int]:
    """Wait until there is room for so many trials; return where.

    Raises:
        MeasureError: a worker did not start.
    """
    while len(executor.idle()) < trials:
        for message in executor.wait(0.1):
            raise MeasureError(f"a worker did not start: {message}")
    return list(executor.idle())


def search_seconds(
    session: Session, executor: Executor, configurations: Sequence[Mapping[str, Any]]
) -> float:
    """Return how long a supervisor takes to have these trained.

    Raises:
        MeasureError: one could not be.
    """
    source = Listed(configurations)
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as place:
        plan = session.plan(len(configurations), ModelStore(Path(place) / "models"))
        with Journal(Path(place) / "journal.jsonl") as journal, StopRequest() as stop:
            started = time.perf_counter()
            Supervisor(plan, source, executor, journal, stop).run()
            seconds = time.perf_counter() - started
    if source.count_done() < len(configurations):
        raise MeasureError(f"not every trial was trained: {source.ends}")
    return seconds
