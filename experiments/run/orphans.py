"""Orphaned single runs: their process was killed, or ended before MLflow had everything.

The next command settles them, so that no run stays RUNNING in MLflow.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from assay.experiments.run.study_locks import model_store_of_journal
from assay.experiments.tracking.cursor import Cursor
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.workspace import StorePaths
from assay.models.errors import DamagedFile, RequestError
from assay.search.artifacts import study_closed_event
from assay.search.events import Event, StudyClosed, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal, last_event, read_events
from assay.search.objective import Values
from assay.search.system.files import StudyLock, is_locked

_NEVER_ENDED = "a single run that never ended"
_NOT_TRACKED = "a single run that MLflow does not have completely"


def find_orphaned_runs(store_paths: StorePaths) -> dict[str, str]:
    """Return what is wrong with each orphaned run, by the name of its journal."""
    found = {}
    for path in _run_journals(store_paths):
        try:
            if _is_unsettled(path, store_paths) and not is_locked(path.with_suffix(".lock")):
                found[path.stem] = _NOT_TRACKED if _is_closed(path) else _NEVER_ENDED
        except DamagedFile as error:
            found[path.stem] = str(error)
    return found


def settle_orphaned_runs(store_paths: StorePaths) -> None:
    """Record runs that never ended as interrupted, and pass all orphaned runs on to MLflow."""
    for path in _run_journals(store_paths):
        # A run that is still training holds its lock; a damaged journal can't be settled.
        with suppress(RequestError):
            if not _is_unsettled(path, store_paths):
                continue
            with StudyLock(path.with_suffix(".lock"), path.stem), Journal(path) as journal:
                _settle(path, journal, store_paths)


def _settle(path: Path, journal: Journal, store_paths: StorePaths) -> None:
    events = {type(event): event for event, _ in read_events(path)}
    if StudyOpened not in events:
        return
    model_store = model_store_of_journal(store_paths.workspace, path)
    if StudyClosed not in events:
        if TrialBegun in events and TrialEnded not in events:
            journal.append(TrialEnded(trial=0, state="failed", reason="interrupted"))
        best = _best_trials(events.get(TrialEnded))
        journal.append(study_closed_event("interrupted", best, model_store))
    tracker = MlflowTracker(
        path,
        store_paths.tracking_uri,
        store_paths.workspace.artifacts,
        find_model=model_store.find_model,
    )
    tracker.start()
    if tracker.close(hurry=False) is None:
        model_store.delete()


def _best_trials(ended: Event | None) -> dict[int, Values]:
    is_complete = isinstance(ended, TrialEnded) and ended.state == "complete"
    return {0: ended.values} if is_complete else {}  # type: ignore[union-attr]


def _run_journals(store_paths: StorePaths) -> list[Path]:
    return sorted(store_paths.workspace.path.glob("journal/run-*.jsonl"))


def _is_unsettled(journal: Path, store_paths: StorePaths) -> bool:
    is_settled = _is_closed(journal) and _is_tracked(journal, store_paths.tracking_uri)
    return not is_settled and not _is_of_study(journal)


def _is_of_study(journal: Path) -> bool:
    """Return whether it belongs to a study, whose name may begin with "run-" as well."""
    first = next((event for event, _ in read_events(journal)), None)
    return isinstance(first, StudyOpened) and first.study is not None


def _is_closed(journal: Path) -> bool:
    return isinstance(last_event(journal), StudyClosed)


def _is_tracked(journal: Path, tracking_uri: str) -> bool:
    """Return whether MLflow has the whole run; another store than the run's own needs nothing."""
    cursor = Cursor(journal.with_suffix(".tracked"), tracking_uri)
    return not cursor.is_of_store or cursor.offset >= journal.stat().st_size
