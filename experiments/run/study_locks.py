"""The slots of a study in one home: each supervisor that is at work on it has a journal, a lock and models of its own.

Where there can be only one at a time, on SQLite, there is only the first slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.tracking.follower import Cursor, MlflowTracker
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import RequestError
from assay.search.artifacts import ModelStore
from assay.search.events import StudyClosed
from assay.search.journal import Journal, last
from assay.search.system.files import StudyLock, is_held
from assay.search.system.urls import database_is_shared
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from assay.search.study_record import StudyRecord


def take(stack: ExitStack, places: StorePaths, study: str) -> int:
    """Lock the first slot that is free, as long as the stack is open; return it.

    Raises:
        RequestError: another process is at work on the study, in a storage that is for one at a time.
    """
    slot = 1
    while True:
        try:
            stack.enter_context(_lock(places.home, study, slot))
        except RequestError:
            if not database_is_shared(places.storage):
                raise
            slot += 1
        else:
            if is_held(_gate(places.home, study)):
                raise RequestError(
                    f"study {study!r} is being deleted or mended: give the same command again after that."
                )
            return slot


def check_free(places: StorePaths, study: str) -> None:
    """Refuse a second supervisor, where there can be only one, before anything is begun for it.

    Raises:
        RequestError: another process is at work on the study.
    """
    if not database_is_shared(places.storage) and (who := busy(places.home, study)) is not None:
        raise RequestError(f"{who}: wait for it, or give this one a --study NAME.")


def hold(stack: ExitStack, home: Workspace, study: str) -> None:
    """Lock all slots of a study, those too that there are none of yet, as long as the stack is open.

    A home that has no journals gets no locks.

    Raises:
        RequestError: a process is at work in one of them.
    """
    if home.journal(study).parent.exists():
        stack.enter_context(StudyLock(_gate(home, study), study))
        for slot in home.slots(study):
            stack.enter_context(_lock(home, study, slot))


def _gate(home: Workspace, study: str) -> Path:
    """Return the file that is locked by whoever holds all slots: it comes before them, and a new slot looks at it."""
    return home.journal(study).with_suffix(".gate.lock")


def busy(home: Workspace, study: str) -> str | None:
    """Return who is at work on a study, if anybody is; nothing is locked or written."""
    locks = (path.with_suffix(".lock") for path in home.journals(study))
    held = next((lock for lock in locks if is_held(lock)), None)
    return None if held is None else f"study {study!r} is being run by {held.read_text().strip() or 'another process'}"


def describe_runner(study: str, places: StorePaths) -> str:
    """Return in words who runs those trials of a study that say they are running."""
    if (who := busy(places.home, study)) is not None:
        return who
    if database_is_shared(places.storage):
        return "no sweep of this home is at work on the study: another home's is, or was when it ended"
    return "nobody is at work on the study: the same sweep again, or 'assay doctor --fix', settles what was left"


def free(home: Workspace, study: str, slot: int) -> list[Path]:
    """Return the journals of a study that nobody else is at work on, the one of this slot among them."""
    paths = {one: home.journal(study, one) for one in {slot, *home.slots(study)}}
    return [
        path for one, path in paths.items() if one == slot or (path.exists() and not is_held(path.with_suffix(".lock")))
    ]


def is_alone(home: Workspace, study: str, slot: int) -> bool:
    """Return whether nobody else of this home is at work on a study."""
    others = [home.journal(study, one) for one in home.slots(study) if one != slot]
    return not any(is_held(journal.with_suffix(".lock")) for journal in others)


def shelf_of(home: Workspace, study: str, slot: int = 1) -> ModelStore:
    """Return where a supervisor keeps models; what others kept is found too."""
    return ModelStore(
        home.models(study, slot), others=lambda: [home.models(study, other) for other in home.slots(study)]
    )


def settle_others(
    places: StorePaths, study: str, slot: int, trials: StudyRecord, describe: Callable[[Trial], Mapping[str, Any]]
) -> set[str]:
    """Do for the slots that nobody is in what their next supervisor would: there may be none for long.

    Args:
        places: of the study.
        study: its name.
        slot: whose supervisor does it.
        trials: the study.
        describe: makes of a trial all its hyperparameters by name, for the journal.

    Returns:
        What the trials are known by that the supervisors of those slots took.
    """
    from assay.search.recovery import recover, supervisors  # here, because workers should not have to wait for Optuna

    dead: set[str] = set()
    for other in places.home.slots(study):
        path = places.home.journal(study, other)
        if other == slot or not path.exists():
            continue
        with suppress(RequestError), _lock(places.home, study, other):
            with Journal(path) as journal:
                recover(trials, journal, describe)
                if not isinstance(last(path), StudyClosed):
                    journal.append(StudyClosed(closing="interrupted"))
            dead |= supervisors(path)
    return dead


def pass_on_others(places: StorePaths, study: str, slot: int) -> None:
    """Tell MLflow what it has not heard from the slots that nobody is in."""
    for other in places.home.slots(study):
        path = places.home.journal(study, other)
        if other == slot or not path.exists():
            continue
        with suppress(RequestError), _lock(places.home, study, other):
            if Cursor(path.with_suffix(".tracked"), places.tracking_uri).offset < path.stat().st_size:
                pass_on(path, places)


def pass_on(journal: Path, places: StorePaths) -> None:
    """Tell MLflow what it has not heard of a journal that nobody writes.

    Raises:
        RequestError: the store can't be reached.
    """
    tracker = MlflowTracker(journal, places.tracking_uri, places.home.artifacts)
    tracker.start()
    tracker.wait_until_open()
    tracker.close(hurry=False)


def _lock(home: Workspace, study: str, slot: int) -> StudyLock:
    return StudyLock(home.journal(study, slot).with_suffix(".lock"), study)
