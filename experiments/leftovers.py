"""Single runs whose process was killed: settled by whichever command comes next, so that none stays RUNNING."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from experiments.places import Places
from experiments.tracking.follower import MlflowTracker
from models.errors import RequestError
from search.events import StudyClosed, StudyOpened, TrialBegun, TrialEnded
from search.journal import Journal, last, read
from search.lock import StudyLock, is_held


def left_runs(places: Places) -> list[str]:
    """Return the names of the journals of runs that are not closed, and that nobody is running."""
    return [path.stem for path in _open_journals(places) if not is_held(path.with_suffix(".lock"))]


def settle_runs(places: Places) -> None:
    """Record every run that was begun and never ended as interrupted, in its journal and in MLflow."""
    for path in _open_journals(places):
        # A run that is still under way holds its lock.
        with suppress(RequestError), StudyLock(path.with_suffix(".lock"), path.stem), Journal(path) as journal:
            kinds = {type(event) for event, _ in read(path)}
            if StudyOpened not in kinds or StudyClosed in kinds:  # closed by another process since
                continue
            if TrialBegun in kinds and TrialEnded not in kinds:
                journal.append(TrialEnded(trial=0, state="failed", reason="interrupted"))
            journal.append(StudyClosed(closing="interrupted"))
            tracker = MlflowTracker(path, places.tracking_uri, places.home.artifacts)
            tracker.start()
            tracker.close(hurry=False)


def _open_journals(places: Places) -> list[Path]:
    journals = sorted(places.home.path.glob("journal/run-*.jsonl"))
    return [path for path in journals if not isinstance(last(path), StudyClosed)]
