"""Running lecture experiments."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.experiments.lectures.bench import Bench, Size
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Verdict
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.system.urls import first_line


@dataclass(frozen=True)
class Outcome:
    """What became of an experiment.

    Attributes:
        experiment: the experiment.
        size: how much was measured.
        measured: what it measured; None if it could not run.
        error: why it could not run; None if it could.
        seconds: its wall time.
    """

    experiment: LectureExperiment
    size: Size
    measured: Measured | None
    error: str | None
    seconds: float

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """The verdict of each rule; empty if it could not run."""
        if self.measured is None:
            return ()
        return [rule.judge(self.measured.numbers) for rule in self.experiment.rules]

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        experiment, measured = self.experiment, self.measured
        return {
            **describe(experiment),
            "rules": [
                {
                    "claim": rule.claim,
                    "place": rule.place,
                    "rule": [condition.describe() for condition in rule.conditions],
                    "reason": rule.reason,
                    "verdict": verdict,
                }
                for rule, verdict in zip(
                    experiment.rules,
                    self.verdicts if measured is not None else len(experiment.rules) * [None],
                    strict=True,
                )
            ],
            "numbers": {}
            if measured is None
            else {name: one.to_record() for name, one in measured.numbers.items()},
            "studies": [] if measured is None else list(measured.studies),
            "size": self.size,
            "seconds": round(self.seconds, 1),
            "error": self.error,
        }


def describe(experiment: LectureExperiment) -> dict[str, str]:
    """Return an entry of `assay lectures --list --json`."""
    return {"name": experiment.name, "source": experiment.source, "claim": experiment.claim}


def run_experiment(experiment: LectureExperiment, bench: Bench) -> Outcome:
    """Run an experiment; what it can't run for is its error."""
    began = time.monotonic()
    measured, error = None, None
    try:
        measured = experiment.measure(bench)
    except (RequestError, SearchError) as failure:
        error = first_line(failure)
    return Outcome(experiment, bench.size, measured, error, time.monotonic() - began)


def run_experiments(
    experiments: Sequence[LectureExperiment],
    store_paths: StorePaths,
    size: Size,
    say: Callable[[str], object],
) -> list[Outcome]:
    """Run experiments one after the other.

    Args:
        experiments: the experiments.
        store_paths: the stores in which their studies are.
        size: how much is measured.
        say: called with a line about what happens.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(store_paths, Path(folder), size, say)
        return [run_experiment(one, bench) for one in experiments]
