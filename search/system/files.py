"""One supervisor a study: a lock that dies with its process."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from assay.models.errors import RequestError, SearchError

_TRIES = 5  # because who only asks whether it is held holds it for an instant
_PAUSE_SECONDS = 0.02


class StudyLock:
    """Held while entered. The system lets go of it when the process ends, however it ends: no lock
    is ever stale.

    Raises:
        RequestError: another process holds it; the message says which and since when.
    """

    def __init__(self, path: Path, study: str) -> None:
        self._path = path
        self._study = study

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+")
        for _ in range(_TRIES):
            if _is_taken(self._file):
                break
            time.sleep(_PAUSE_SECONDS)
        else:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise RequestError(
                f"study {self._study!r} is being run by {holder}: wait for it, or give this one a --study NAME."
            )
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} since {now}\n")
        self._file.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock in this file, if there is one; none is made."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not _is_taken(file, fcntl.LOCK_SH)  # which any number may ask for at once


def _is_taken(file: IO[Any], kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock in a file if nobody has it, until the file is closed; return whether it was
    taken.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Telling a store that could not be written, because the disk is full, say, from all else that goes
# wrong.


_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL_IN_WORDS = re.compile(
    r"database or disk is full|^\d+ requested and \d+ written$"
)  # SQLite's, NumPy's
_SQLITE_FORBIDDEN = "attempt to write a readonly database"


def why_unwritable(error: BaseException) -> str | None:
    """Return in a few words why something could not be written, if that was what went wrong."""
    return next((why for why, _ in filter(None, map(_reason, _chain(error)))), None)


def unwritable(what: object, error: BaseException, done: str = "written") -> SearchError | None:
    """Return the error to raise if something could not be written though the request was right;
    else None.

    Args:
        what: could not be written, in words.
        error: as a library has raised it, with what it was raised from.
        done: what can't be done to it, where that may be something else.
    """
    for why, do in filter(None, map(_reason, _chain(error))):
        return SearchError(
            f"{what} can't be {done} ({why}): {do}; then the same command goes on from here."
        )
    return None


def _reason(error: BaseException) -> tuple[str, str] | None:
    """Return why it could not be written and what to do; None if that was not the reason."""
    number, text = getattr(error, "errno", None), str(error)
    if (isinstance(error, OSError) and number in _FULL) or _FULL_IN_WORDS.search(text) is not None:
        return os.strerror(errno.ENOSPC if number is None else number), "make room"
    if (isinstance(error, OSError) and number in _FORBIDDEN) or _SQLITE_FORBIDDEN in text:
        return os.strerror(
            errno.EACCES if number is None else number
        ), "see that you may write there"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
