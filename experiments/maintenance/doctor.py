"""Comparing and repairing all studies of a home."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from assay.experiments.maintenance.compare import Difference
from assay.experiments.maintenance.examine import examine_study
from assay.experiments.maintenance.repair import repair_study
from assay.experiments.results.listing import list_studies, storages_kept_open
from assay.experiments.run.orphans import find_orphaned_runs, settle_orphaned_runs
from assay.experiments.run.study_locks import find_runner, lock_all_instances
from assay.experiments.tracking.addresses import find_relocation, update_addresses
from assay.experiments.tracking.home_id import OtherHome
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import DamagedFile, RequestError
from assay.search.optuna_messages import quiet_optuna


@dataclass
class Diagnosis:
    """What doctor found.

    Attributes:
        studies: number of studies that were compared.
        trials: number of their trials that have ended.
        differences: what differs now.
        repaired: what differed, and no longer does.
        busy: studies that were skipped because a process runs them, with the reason.
    """

    studies: int = 0
    trials: int = 0
    differences: list[Difference] = field(default_factory=list)
    repaired: list[Difference] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "studies": self.studies,
            "trials": self.trials,
            "differences": [difference.to_record() for difference in self.differences],
            "mended": [difference.to_record() for difference in self.repaired],
            "busy": dict(self.busy),
        }


def diagnose(store_paths: StorePaths, fix: bool) -> Diagnosis:
    """Compare the stores on all studies and runs.

    Args:
        store_paths: home and its stores. Studies that other homes ran in the same storage are
            skipped, since those homes have their journals.
        fix: repair the differences too; without it nothing is written.

    Raises:
        RequestError: a store can't be reached.

    Example:
        >>> diagnose(StorePaths.choose(home="mlruns"), fix=False).differences
        []
    """
    diagnosis = Diagnosis()
    if (relocation := find_relocation(store_paths.workspace)) is not None:
        found = diagnosis.repaired if fix else diagnosis.differences
        found.append(Difference("home", None, str(relocation)))
    if fix:
        update_addresses(store_paths.workspace)
    with storages_kept_open():
        for study in sorted({*journal_names(store_paths.workspace), *_home_studies(store_paths)}):
            try:
                _diagnose_study(study, store_paths, fix, diagnosis)
            except (DamagedFile, OtherHome) as error:
                diagnosis.studies += 1
                diagnosis.differences.append(Difference(study, None, str(error)))
    orphans = _orphan_differences(store_paths)
    if fix and orphans:
        settle_orphaned_runs(store_paths)
    left = _orphan_differences(store_paths) if fix else orphans
    diagnosis.differences += left
    diagnosis.repaired += [orphan for orphan in orphans if orphan not in left]
    return diagnosis


def _diagnose_study(study: str, store_paths: StorePaths, fix: bool, diagnosis: Diagnosis) -> None:
    with ExitStack() as stack:
        if (runner := find_runner(store_paths, study)) is not None:
            diagnosis.busy[study] = runner
            return
        # Without --fix nothing is locked, because a lock writes a file.
        if fix:
            try:
                lock_all_instances(stack, store_paths, study)
            except RequestError as error:  # a sweep has begun since `find_runner`
                diagnosis.busy[study] = str(error).partition(": ")[0]
                return
        before = after = examine_study(study, store_paths)
        if fix and before.differences:
            with quiet_optuna():  # it would log each study that it opens
                repair_study(study, before, store_paths)
            # Compared once more: only what agrees now counts as repaired.
            after = examine_study(study, store_paths)
    diagnosis.studies += 1
    diagnosis.trials += after.trials
    diagnosis.differences += after.differences
    left = set(after.differences)  # there may be thousands
    diagnosis.repaired += [found for found in before.differences if found not in left]


def _orphan_differences(store_paths: StorePaths) -> list[Difference]:
    orphans = find_orphaned_runs(store_paths)
    return [Difference(name, None, message) for name, message in orphans.items()]


def _home_studies(store_paths: StorePaths) -> list[str]:
    """Return the studies of the storage, if it is in home."""
    # Any other storage may hold other homes' studies; of those that this home ran, there are
    # journals.
    return list_studies(store_paths) if store_paths.has_own_storage else []
