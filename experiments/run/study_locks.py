"""Supervisor instances of a study in one home: each has a journal, a lock and models of its own.

On SQLite, where a study has one supervisor at a time, there is only the first instance.
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


def take(stack: ExitStack, store_paths: StorePaths, study: str) -> int:
    """Lock the first instance that is free, as long as the stack is open; return it.

    Raises:
        RequestError: another process is at work on the study, in a storage that is for one at a
            time.
    """
    instance = 1
    while True:
        try:
            stack.enter_context(_lock(store_paths.workspace, study, instance))
        except RequestError:
            if not database_is_shared(store_paths.storage):
                raise
            instance += 1
        else:
            if is_held(_gate(store_paths.workspace, study)):
                raise RequestError(
                    f"study {study!r} is being deleted or mended: give the same command again after that."
                )
            return instance


def check_free(store_paths: StorePaths, study: str) -> None:
    """Refuse a second supervisor, where there can be only one, before anything is begun for it.

    Raises:
        RequestError: another process is at work on the study.
    """
    if (
        not database_is_shared(store_paths.storage)
        and (who := busy(store_paths.workspace, study)) is not None
    ):
        raise RequestError(f"{who}: wait for it, or give this one a --study NAME.")


def hold(stack: ExitStack, home: Workspace, study: str) -> None:
    """Lock all instances of a study, those too that there are none of yet, as long as the stack is
    open.

    A home that has no journals gets no locks.

    Raises:
        RequestError: a process is at work in one of them.
    """
    if home.journal(study).parent.exists():
        stack.enter_context(StudyLock(_gate(home, study), study))
        for instance in home.instances(study):
            stack.enter_context(_lock(home, study, instance))


def _gate(home: Workspace, study: str) -> Path:
    """Return the lock file of all instances together: it is taken before theirs, and a new instance
    checks it.
    """
    return home.journal(study).with_suffix(".gate.lock")


def busy(home: Workspace, study: str) -> str | None:
    """Return who is at work on a study, if anybody is; nothing is locked or written."""
    locks = (path.with_suffix(".lock") for path in home.journals(study))
    held = next((lock for lock in locks if is_held(lock)), None)
    return (
        None
        if held is None
        else f"study {study!r} is being run by {held.read_text().strip() or 'another process'}"
    )


def describe_runner(study: str, store_paths: StorePaths) -> str:
    """Return in words who runs those trials of a study that say they are running."""
    if (who := busy(store_paths.workspace, study)) is not None:
        return who
    if database_is_shared(store_paths.storage):
        return (
            "no sweep of this home is at work on the study: another home's is, or was when it ended"
        )
    return "nobody is at work on the study: the same sweep again, or 'assay doctor --fix', settles what was left"


def free(home: Workspace, study: str, instance: int) -> list[Path]:
    """Return the journals of a study that nobody else is at work on, the one of this instance among
    them.
    """
    paths = {one: home.journal(study, one) for one in {instance, *home.instances(study)}}
    return [
        path
        for one, path in paths.items()
        if one == instance or (path.exists() and not is_held(path.with_suffix(".lock")))
    ]


def is_alone(home: Workspace, study: str, instance: int) -> bool:
    """Return whether nobody else of this home is at work on a study."""
    others = [home.journal(study, one) for one in home.instances(study) if one != instance]
    return not any(is_held(journal.with_suffix(".lock")) for journal in others)


def model_store_of(home: Workspace, study: str, instance: int = 1) -> ModelStore:
    """Return where a supervisor keeps models; what others kept is found too."""
    return ModelStore(
        home.models(study, instance),
        others=lambda: [home.models(study, other) for other in home.instances(study)],
    )


def settle_others(
    store_paths: StorePaths,
    study: str,
    instance: int,
    trials: StudyRecord,
    hyperparameters: Callable[[Trial], Mapping[str, Any]],
) -> set[str]:
    """Do for the instances that nobody is in what their next supervisor would: there may be none
    for long.

    Args:
        store_paths: of the study.
        study: its name.
        instance: whose supervisor does it.
        trials: the study.
        hyperparameters: makes of a trial all its hyperparameters by name, for the journal.

    Returns:
        What the trials are known by that the supervisors of those instances took.
    """
    from assay.search.recovery import (
        recover,
        supervisors,
    )  # here, because workers should not have to wait for Optuna

    dead: set[str] = set()
    for other in store_paths.workspace.instances(study):
        path = store_paths.workspace.journal(study, other)
        if other == instance or not path.exists():
            continue
        with suppress(RequestError), _lock(store_paths.workspace, study, other):
            with Journal(path) as journal:
                recover(trials, journal, hyperparameters)
                if not isinstance(last(path), StudyClosed):
                    journal.append(StudyClosed(closing="interrupted"))
            dead |= supervisors(path)
    return dead


def pass_on_others(store_paths: StorePaths, study: str, instance: int) -> None:
    """Tell MLflow what it has not heard from the instances that nobody is in."""
    for other in store_paths.workspace.instances(study):
        path = store_paths.workspace.journal(study, other)
        if other == instance or not path.exists():
            continue
        with suppress(RequestError), _lock(store_paths.workspace, study, other):
            if (
                Cursor(path.with_suffix(".tracked"), store_paths.tracking_uri).offset
                < path.stat().st_size
            ):
                pass_on(path, store_paths)


def pass_on(journal: Path, store_paths: StorePaths) -> None:
    """Tell MLflow what it has not heard of a journal that nobody writes.

    Raises:
        RequestError: the store can't be reached.
    """
    tracker = MlflowTracker(journal, store_paths.tracking_uri, store_paths.workspace.artifacts)
    tracker.start()
    tracker.wait_until_open()
    tracker.close(hurry=False)


def _lock(home: Workspace, study: str, instance: int) -> StudyLock:
    return StudyLock(home.journal(study, instance).with_suffix(".lock"), study)
