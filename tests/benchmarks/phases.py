"""Search phase of a sweep, for a list of configurations.

The workers are those of a real sweep, and are ready before the phase begins.
"""

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
    """Source of trials from a list; each runs once, and none is pruned."""

    configurations: Sequence[Mapping[str, Any]]
    asked: int = 0
    ends: list[TrialEnded] = field(default_factory=list)

    def ask(self) -> Trial:
        """Return the next trial."""
        self.asked += 1
        return Trial(
            self.asked - 1, self.configurations[self.asked - 1], seed=self.asked, origin="listed"
        )

    def count_done(self) -> int:
        """Return the number of trials that did not fail."""
        return sum(end.state != "failed" for end in self.ends)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Never prune."""
        return False

    def tell(self, end: TrialEnded) -> None:
        """Record the end of a trial."""
        self.ends.append(end)

    def enqueue_retry(self, trial: Trial) -> None:
        """Ignore the retry, because a failed trial makes the measure fail."""

    def has_next(self) -> bool:
        """Return whether a trial is left."""
        return self.asked < len(self.configurations)

    def admits(self, number: int, values: Values) -> bool:
        """Keep no model, which costs both sides the same."""
        return False

    def best_trials(self) -> Mapping[int, Values]:
        """Return no trials, because no model is kept."""
        return {}


def wait_for(executor: Executor, trials: int) -> Sequence[int]:
    """Wait for `trials` idle workers; return the idle workers.

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
    """Return the seconds in which a supervisor trains the configurations.

    Raises:
        MeasureError: a trial failed.
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
