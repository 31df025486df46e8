"""One supervisor a study: a lock that dies with its process."""

from __future__ import annotations

import datetime
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from models.errors import RequestError

_TRIES = 5  # because who only asks whether it is held holds it for an instant
_PAUSE_SECONDS = 0.02


class StudyLock:
    """Held while entered. The system lets go of it when the process ends, however it ends: no lock is ever stale.

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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock in this file, if there is one; none is made."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not _is_taken(file, fcntl.LOCK_SH)  # which any number may ask for at once


def _is_taken(file: IO[Any], kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock in a file if nobody has it, until the file is closed; return whether it was taken."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
