"""Locks on files, and errors of a store that cannot be written."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.models.errors import DamagedFile, RequestError, SearchError
from assay.models.files import (
    check_one_name,
    check_path_length,
    make_folder,
    open_descriptor,
    open_regular,
)


def check_current_folder() -> None:
    """Check that the current folder exists.

    Raises:
        RequestError: it was removed.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise RequestError(
            "the current folder must exist, because MLflow and the workers look into it; it was "
            "removed: change to another folder."
        ) from None


def expand_path(path: Path | str, what: str) -> Path:
    """Return a path with `~` and `~user` expanded.

    Args:
        path: the path.
        what: what an error calls it, such as "home".

    Raises:
        RequestError: there is no such user, or the path is too long or holds a NUL character.
    """
    if "\0" in str(path):
        raise RequestError(
            f"{what} must be a path without NUL characters; received {str(path)!r}: give another."
        )
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:  # raised by pathlib, which has no other exception for it
        raise RequestError(
            f"{what} must be a path below an existing user's folder; received {str(path)!r}: "
            "write ./~ if the name begins with a tilde."
        ) from None
    check_path_length(expanded, what)
    return expanded


def absolute_path(path: Path | str, what: str) -> Path:
    """Return an absolute path without symbolic links, `~` and `~user` expanded.

    Args:
        path: the path.
        what: what an error calls it.

    Raises:
        RequestError: see `expand_path`; or a symbolic link leads to itself.
    """
    expanded = expand_path(path, what)
    try:
        return expanded.resolve()
    except RuntimeError:
        raise RequestError(
            f"{what} must not be a symbolic link to itself; received {str(path)!r}: give another."
        ) from None


_OTHER_THAN_TABLES = """
    SELECT type, name, sql FROM sqlite_master WHERE type NOT IN ('table', 'index')
    UNION ALL
    SELECT 'virtual table', name, sql FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'
"""
# MLflow has such a trigger (3.17). Its condition has no parentheses: no query, no function.
_REFUSING_TRIGGER = re.compile(
    r"CREATE TRIGGER \w+ (BEFORE|AFTER) \w+ ON \w+ FOR EACH ROW (WHEN [^()]*)?"
    r"BEGIN SELECT RAISE\(ABORT, '[^']*'\); END"
)


def check_database(database: Path) -> None:
    """Check that an SQLite database has tables only, and no second name.

    It may have indexes, and triggers that only refuse a change.

    Neither Optuna nor MLflow creates anything else. What a view in the place of a table or another
    trigger does may never end.

    Raises:
        DamagedFile: it has something else, or hard links.
    """
    check_one_name(database)
    address = f"file:{urllib.parse.quote(str(database))}?mode=ro"
    # What can't be read is refused by what opens it to work with it.
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=1.0)) as opened:
            entries = opened.execute(_OTHER_THAN_TABLES).fetchall()
        for kind, name, sql in entries:
            if _REFUSING_TRIGGER.fullmatch(" ".join(str(sql).split())) is None:
                raise DamagedFile(
                    f"{database} must have tables only: it has a {kind} called {name!r:.40}; "
                    "restore it from a backup, or remove it."
                )


class FileLock:
    """Exclusive lock on a file or a folder.

    The system releases the lock when the process ends, however it ends: no lock is ever stale.

    Args:
        path: the file, created if it does not exist, or an existing folder.

    Example:
        >>> with FileLock(Path("mlruns/.mlflow.db.lock")):  # waits for the lock
        ...     create_tables()
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Acquire the lock, waiting for its holder if `wait`; return whether it was acquired.

        Raises:
            RequestError: it is a symbolic link, or no regular file.
            OSError: the file cannot be opened.
        """
        # A folder cannot be opened for writing, and need not be.
        is_folder = self._path.is_dir() and not self._path.is_symlink()
        descriptor = (
            os.open(self._path, os.O_RDONLY)
            if is_folder
            else open_descriptor(self._path, os.O_RDWR | os.O_CREAT)
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:  # an interrupt while it waits
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of this file; the file is not created."""
    if not os.path.lexists(path):
        return False
    with open_regular(path, "rb") as file:
        try:
            # A shared lock: any number of processes may look at once.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# `is_locked` holds a lock for an instant, which must not refuse a supervisor.
_ACQUIRE_ATTEMPTS = 5
_ACQUIRE_PAUSE_SECONDS = 0.02
_MOST_HOLDER_BYTES = 200


class StudyLock:
    """Lock of a supervisor instance of a study; its file says which process holds it.

    Args:
        path: the lock file.
        study: name of the study, for the message.

    Raises:
        RequestError: another process holds the lock; the message says which and since when.

    Example:
        >>> with StudyLock(Path("mlruns/journal/digits-mlp.lock"), "digits-mlp"):
        ...     supervisor.run()
    """

    def __init__(self, path: Path, study: str) -> None:
        self._path = path
        self._study = study
        self._lock = FileLock(path)

    def __enter__(self) -> Self:
        make_folder(self._path.parent)
        if not self._acquire():
            raise RequestError(
                f"study {self._study!r} is being run by {read_holder(self._path)}: "
                "wait for it, or give this one a --study NAME."
            )
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        try:
            with open_regular(self._path, "wb") as file:
                file.write(f"process {os.getpid()} since {now}\n".encode())
        except OSError:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _acquire(self) -> bool:
        for _ in range(_ACQUIRE_ATTEMPTS):
            if self._lock.acquire(wait=False):
                return True
            time.sleep(_ACQUIRE_PAUSE_SECONDS)
        return False


def read_holder(lock: Path) -> str:
    """Return which process holds a study's lock, by its file."""
    # The file may have been removed since.
    with contextlib.suppress(OSError, UnicodeDecodeError), open_regular(lock, "rb") as file:
        return file.read(_MOST_HOLDER_BYTES).decode().strip() or "another process"
    return "another process"


# Libraries report a full disk and a missing permission in several ways; both end a search with
# exit code 1 and one line, since the request itself was right.
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# The messages of SQLite and of NumPy, which raise errors without an errno.
_FULL_MESSAGE = re.compile(r"database or disk is full|^\d+ requested and \d+ written$")
_READONLY_MESSAGE = "attempt to write a readonly database"


def unwritable_reason(error: BaseException) -> str | None:
    """Return why something could not be written; None for another error."""
    return next((reason for reason, _ in _reasons(error)), None)


def unwritable_error(
    what: object, error: BaseException, action: str = "written"
) -> SearchError | None:
    """Return the error to raise if a store cannot be written; else None.

    Args:
        what: the store, as the message names it.
        error: the library's exception; its causes are looked at too.
        action: the participle in "cannot be ...", such as "opened or written".
    """
    for reason, remedy in _reasons(error):
        return SearchError(
            f"{what} can't be {action} ({reason}): {remedy}; "
            "then the same command goes on from here."
        )
    return None


def _reasons(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield reason and remedy of each failed write in a chain."""
    for link in _chain(error):
        number, text = getattr(link, "errno", None), str(link)
        is_os_error = isinstance(link, OSError)
        if (is_os_error and number in _FULL) or _FULL_MESSAGE.search(text) is not None:
            yield os.strerror(errno.ENOSPC if number is None else number), "make room"
        elif (is_os_error and number in _FORBIDDEN) or _READONLY_MESSAGE in text:
            reason = os.strerror(errno.EACCES if number is None else number)
            yield reason, "check that you may write there"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
