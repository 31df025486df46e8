"""All studies of a home, examined one after the other; a study that is being searched is left
alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from assay.experiments.maintenance.compare import Difference
from assay.experiments.maintenance.examine import examine
from assay.experiments.maintenance.repair import mend
from assay.experiments.results.listing import study_names
from assay.experiments.run.orphans import orphaned_runs, settle_orphaned_runs
from assay.experiments.run.study_locks import busy, hold
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import RequestError


@dataclass
class Diagnosis:
    """What was found.

    Attributes:
        studies: how many were examined.
        trials: how many they have that are over.
        differences: what does not agree now.
        mended: what did not, and does.
        busy: why a study was not examined, by its name.
    """

    studies: int = 0
    trials: int = 0
    differences: list[Difference] = field(default_factory=list)
    mended: list[Difference] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "studies": self.studies,
            "trials": self.trials,
            "differences": [difference.to_record() for difference in self.differences],
            "mended": [difference.to_record() for difference in self.mended],
            "busy": dict(self.busy),
        }


def diagnose(store_paths: StorePaths, fix: bool) -> Diagnosis:
    """Compare the stores on every study that was run from this home; with `fix`, mend what can be.

    Without `fix` nothing is written. Another home's studies in the same storage are its own to
    examine, since it has their journals.

    Raises:
        RequestError: a store can't be reached.
    """
    found = Diagnosis()
    for study in sorted({*journal_names(store_paths.workspace), *_own_studies(store_paths)}):
        with ExitStack() as stack:
            if (whose := busy(store_paths.workspace, study)) is not None:
                found.busy[study] = whose
                continue
            if fix:
                try:
                    hold(stack, store_paths.workspace, study)
                except RequestError as error:  # somebody has just begun
                    found.busy[study] = str(error).partition(": ")[0]
                    continue
            before = examine(study, store_paths)
            left = before
            if fix and before.differences:
                mend(study, before, store_paths)
                left = examine(study, store_paths)
        found.studies += 1
        found.trials += left.trials
        found.differences += left.differences
        found.mended += [one for one in before.differences if one not in left.differences]
    runs = _left_runs(store_paths)
    if fix and runs:
        settle_orphaned_runs(store_paths)
    left_now = _left_runs(store_paths) if fix else runs
    found.differences += left_now
    found.mended += [one for one in runs if one not in left_now]
    return found


def _left_runs(store_paths: StorePaths) -> list[Difference]:
    return [Difference(name, None, what) for name, what in orphaned_runs(store_paths).items()]


def _own_studies(store_paths: StorePaths) -> list[str]:
    """Return the studies of the storage, where it is this home's own: elsewhere they may be other
    homes'.
    """
    return study_names(store_paths) if store_paths.storage == store_paths.workspace.storage else []
