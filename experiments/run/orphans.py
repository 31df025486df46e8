"""Single runs whose process was killed: settled by whichever command comes next, so that none stays
RUNNING.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from assay.experiments.tracking.follower import Cursor, MlflowTracker
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.artifacts import ModelStore, closing_of
from assay.search.events import Event, StudyClosed, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal, last, read
from assay.search.objective import Values
from assay.search.system.files import StudyLock, is_held

_NEVER_ENDED = "a single run that was begun and never ended"
_ENDED_UNTOLD = "a single run that MLflow has not heard all of"


def orphaned_runs(store_paths: StorePaths) -> dict[str, str]:
    """Return what is wrong with runs that were not put away, and that nobody is running, by their
    journals' names.
    """
    return {
        path.stem: _ENDED_UNTOLD if _is_closed(path) else _NEVER_ENDED
        for path in _left_journals(store_paths)
        if not is_held(path.with_suffix(".lock"))
    }


def settle_orphaned_runs(store_paths: StorePaths) -> None:
    """Record every run that was begun and never ended as interrupted, and have MLflow know of all
    that were left.
    """
    for path in _left_journals(store_paths):
        # A run that is still under way holds its lock.
        with (
            suppress(RequestError),
            StudyLock(path.with_suffix(".lock"), path.stem),
            Journal(path) as journal,
        ):
            events = {type(event): event for event, _ in read(path)}
            if StudyOpened not in events:
                continue
            model_store = ModelStore(store_paths.workspace.models(path.stem))
            if StudyClosed not in events:
                if TrialBegun in events and TrialEnded not in events:
                    journal.append(TrialEnded(trial=0, state="failed", reason="interrupted"))
                journal.append(
                    closing_of("interrupted", _best_trials(events.get(TrialEnded)), model_store)
                )
            tracker = MlflowTracker(path, store_paths.tracking_uri, store_paths.workspace.artifacts)
            tracker.start()
            if tracker.close(hurry=False) is None:
                model_store.remove()


def _best_trials(ended: Event | None) -> dict[int, Values]:
    return {0: ended.values} if isinstance(ended, TrialEnded) and ended.state == "complete" else {}


def _left_journals(store_paths: StorePaths) -> list[Path]:
    journals = sorted(store_paths.workspace.path.glob("journal/run-*.jsonl"))
    left = [
        path
        for path in journals
        if not _is_closed(path) or _is_behind(path, store_paths.tracking_uri)
    ]
    return [path for path in left if not _is_of_study(path)]


def _is_of_study(journal: Path) -> bool:
    """Whether it is that of a study whose name begins as a run's journal does."""
    first = next((event for event, _ in read(journal)), None)
    return isinstance(first, StudyOpened) and first.study is not None


def _is_closed(journal: Path) -> bool:
    return isinstance(last(journal), StudyClosed)


def _is_behind(journal: Path, tracking_uri: str) -> bool:
    """Whether this store is the one that the run was to be told to, and has not heard all of it."""
    cursor = Cursor(journal.with_suffix(".tracked"), tracking_uri)
    return cursor.is_its_own and cursor.offset < journal.stat().st_size
