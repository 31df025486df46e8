"""Which supervisors run a study in one home.

Each supervisor is an instance of the study, with a journal, a lock, a cursor and models of its own.
On PostgreSQL several may run at the same time; the second is called `STUDY~2` on the disk. On
SQLite there is one at a time, and so only instance 1. Several homes may use one SQLite storage, so
a second lock lies beside the database.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.run.progress import Display
from assay.experiments.tracking.addresses import update_addresses
from assay.experiments.tracking.cursor import Cursor
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.workspace import StorePaths, Workspace, file_name
from assay.models.errors import DamagedFile, RequestError
from assay.search.artifacts import ModelStore
from assay.search.events import StudyClosed
from assay.search.journal import Journal, last_event
from assay.search.system.files import StudyLock, is_locked, read_holder, unwritable_error
from assay.search.system.urls import is_shared_database, sqlite_file
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from assay.search.study_record import StudyRecord

_LONGEST_FILE_NAME_BYTES = 255


def check_is_free(
    store_paths: StorePaths, study: str, otherwise: str = ", or give this one a --study NAME"
) -> None:
    """Check that no other sweep runs the study, where there can be only one.

    Called before anything is started: `acquire_instance` has the last word.

    Args:
        store_paths: home and both stores.
        study: name of the study.
        otherwise: what the user can do beside waiting.

    Raises:
        RequestError: another sweep runs it.
    """
    if is_shared_database(store_paths.storage):
        return
    if (runner := find_runner(store_paths, study)) is not None:
        raise RequestError(f"{runner}: wait for it{otherwise}.")


def acquire_instance(stack: ExitStack, store_paths: StorePaths, study: str) -> int:
    """Lock the first free instance of a study; return its number.

    The lock is released when the stack is left.

    Raises:
        RequestError: another process runs the study, in a storage for one supervisor at a time; or
            the study is being deleted, repaired or finalized.
    """
    workspace, instance = store_paths.workspace, 1
    while True:
        try:
            stack.enter_context(_lock(workspace, study, instance))
        except RequestError:
            if not is_shared_database(store_paths.storage):
                raise
            instance += 1
            continue
        # Checked while our own lock is held: a process that locks all instances takes the gate
        # first.
        if is_locked(_gate(workspace, study)):
            raise RequestError(
                f"study {study!r} is being deleted, repaired or finalized: run the same command "
                "again afterwards."
            )
        _lock_database(stack, store_paths, study)
        return instance


def lock_all_instances(
    stack: ExitStack,
    store_paths: StorePaths,
    study: str,
    on_damage: Callable[[DamagedFile], object] | None = None,
) -> None:
    """Lock every instance of a study, including future ones, until the stack is left.

    Nothing is written to a home without journals.

    Args:
        stack: on which the locks are held.
        store_paths: home and both stores.
        study: name of the study.
        on_damage: called for a lock that is no regular file, which no process can hold; None: such
            a lock is refused.

    Raises:
        DamagedFile: a lock is no regular file.
        RequestError: a process runs one of them.
        SearchError: the lock beside the database can't be written.
    """
    workspace = store_paths.workspace
    if not workspace.journal(study).parent.exists():
        return
    locks: list[Callable[[], object]] = [
        lambda: stack.enter_context(StudyLock(_gate(workspace, study), study))
    ]
    for instance in workspace.instances(study):
        lock = _lock(workspace, study, instance)
        locks.append(partial(stack.enter_context, lock))
    locks.append(lambda: _lock_database(stack, store_paths, study))
    for acquire in locks:
        try:
            acquire()
        except DamagedFile as error:
            if on_damage is None:
                raise
            on_damage(error)


def find_runner(store_paths: StorePaths, study: str) -> str | None:
    """Return a description of the process that runs a study, or None; nothing is locked."""
    beside = _database_lock(store_paths, study)
    locks = [path.with_suffix(".lock") for path in store_paths.workspace.journals(study)]
    for lock in locks if beside is None else [*locks, beside]:
        if is_locked(lock):
            return f"study {study!r} is being run by {read_holder(lock)}"
    return None


def describe_runner(study: str, store_paths: StorePaths) -> str:
    """Return a sentence about the trials that are RUNNING in Optuna."""
    if (runner := find_runner(store_paths, study)) is not None:
        return runner
    if is_shared_database(store_paths.storage):
        return "no sweep of this home runs the study: a sweep of another home does, or died"
    return "no sweep runs the study: run it again, or 'assay doctor --fix', to settle these trials"


def free_journals(workspace: Workspace, study: str, instance: int) -> list[Path]:
    """Return the journals that no other supervisor writes, this instance's among them."""
    own = workspace.journal(study, instance)
    others = (journal for _, journal in _other_journals(workspace, study, instance))
    return [own, *(path for path in others if not is_locked(path.with_suffix(".lock")))]


def is_only_instance(workspace: Workspace, study: str, instance: int) -> bool:
    """Return whether no other supervisor of this home runs the study."""
    others = (one for one in workspace.instances(study) if one != instance)
    locks = (workspace.journal(study, other).with_suffix(".lock") for other in others)
    return not any(map(is_locked, locks))


def model_store_of(workspace: Workspace, study: str, instance: int = 1) -> ModelStore:
    """Return the model store of an instance; it also finds models of the other instances."""
    return model_store_of_journal(workspace, workspace.journal(study, instance))


def model_store_of_journal(workspace: Workspace, journal: Path) -> ModelStore:
    """Return the model store of the instance that writes a journal; see `model_store_of`."""
    own, *_ = workspace.models_of_journal(journal)
    return ModelStore(own, others=lambda: workspace.models_of_journal(journal))


def recover_other_instances(
    store_paths: StorePaths,
    study: str,
    instance: int,
    trials: StudyRecord,
    hyperparameters: Callable[[Trial], Mapping[str, Any]],
) -> set[str]:
    """Recover the trials of instances whose supervisor has died.

    Their next supervisor would do it too, but an instance may have none for long.

    Args:
        store_paths: home and both stores.
        study: name of the study.
        instance: this supervisor's.
        trials: the study.
        hyperparameters: returns every hyperparameter of a trial, for the journal.

    Returns:
        The ids of the supervisors that have died.
    """
    from assay.search.recovery import (
        journal_supervisors,
        recover,
    )  # here, because it imports Optuna

    dead: set[str] = set()
    for other, path in _other_journals(store_paths.workspace, study, instance):
        # A lock that is held belongs to a living supervisor, which settles its own trials.
        with suppress(RequestError), _lock(store_paths.workspace, study, other):
            with Journal(path) as journal:
                recover(trials, journal, hyperparameters)
                if not isinstance(last_event(path), StudyClosed):
                    journal.append(StudyClosed(closing="interrupted"))
            dead |= journal_supervisors(path)
    return dead


def track_other_instances(store_paths: StorePaths, study: str, instance: int) -> None:
    """Pass the journals of instances without a supervisor on to MLflow."""
    for other, path in _other_journals(store_paths.workspace, study, instance):
        with suppress(RequestError), _lock(store_paths.workspace, study, other):
            cursor = Cursor(path.with_suffix(".tracked"), store_paths.tracking_uri)
            if cursor.offset < path.stat().st_size:
                track_journal(path, store_paths)


def update_home_addresses(workspace: Workspace, display: Display) -> None:
    """Change the artifact addresses of a home that was copied or moved, and say so.

    Raises:
        SearchError: the store can't be written.
    """
    if (relocation := update_addresses(workspace)) is not None:
        display.log(f"{relocation}, which are changed to this home")


def track_journal(journal: Path, store_paths: StorePaths) -> None:
    """Pass a journal that no process writes on to MLflow.

    Raises:
        RequestError: the store can't be reached.
    """
    workspace = store_paths.workspace
    tracker = MlflowTracker(
        journal,
        store_paths.tracking_uri,
        workspace.artifacts,
        find_model=model_store_of_journal(workspace, journal).find_model,
    )
    tracker.start()
    tracker.wait_until_open()
    tracker.close(hurry=False)


def _other_journals(workspace: Workspace, study: str, instance: int) -> Iterator[tuple[int, Path]]:
    for other in workspace.instances(study):
        path = workspace.journal(study, other)
        if other != instance and path.exists():
            yield other, path


def _gate(workspace: Workspace, study: str) -> Path:
    """Return the lock of all instances together; it is taken before theirs."""
    return workspace.journal(study).with_suffix(".gate.lock")


def _database_lock(store_paths: StorePaths, study: str) -> Path | None:
    """Return the lock beside a storage that is a file; None if it is none.

    Home's own storage has one too, because another home may name it with `--storage`.
    """
    if (file := sqlite_file(store_paths.storage)) is None:
        return None
    database = Path(os.path.realpath(file))  # the same lock, however the path is spelled
    name = f".{database.name}.{file_name(study)}.lock"
    if len(os.fsencode(name)) > _LONGEST_FILE_NAME_BYTES:
        name = f".{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()}.lock"
    return database.with_name(name)


def _lock_database(stack: ExitStack, store_paths: StorePaths, study: str) -> None:
    """Lock a study beside a storage that is a file, until the stack is left.

    Raises:
        RequestError: a process of another home runs it.
        SearchError: the lock can't be written.
    """
    lock = _database_lock(store_paths, study)
    # Without its folder there is no database either, and no folder may be created for it.
    if lock is None or not lock.parent.is_dir():
        return
    try:
        stack.enter_context(StudyLock(lock, study))
    except OSError as error:
        raise unwritable_error(f"the lock {lock}", error) or error from None


def _lock(workspace: Workspace, study: str, instance: int) -> StudyLock:
    return StudyLock(workspace.journal(study, instance).with_suffix(".lock"), study)
