"""Telling a store that could not be written, because the disk is full, say, from all else that goes wrong."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from search.errors import SearchError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL_IN_WORDS = re.compile(r"database or disk is full|^\d+ requested and \d+ written$")  # SQLite's, NumPy's
_SQLITE_FORBIDDEN = "attempt to write a readonly database"


def why_unwritable(error: BaseException) -> str | None:
    """Return in a few words why something could not be written, if that was what went wrong."""
    return next((why for why, _ in filter(None, map(_reason, _chain(error)))), None)


def unwritable(what: object, error: BaseException, done: str = "written") -> SearchError | None:
    """Return the error to raise if something could not be written though the request was right; else None.

    Args:
        what: could not be written, in words.
        error: as a library has raised it, with what it was raised from.
        done: what can't be done to it, where that may be something else.
    """
    for why, do in filter(None, map(_reason, _chain(error))):
        return SearchError(f"{what} can't be {done} ({why}): {do}; then the same command goes on from here.")
    return None


def _reason(error: BaseException) -> tuple[str, str] | None:
    """Return why it could not be written and what to do; None if that was not the reason."""
    number, text = getattr(error, "errno", None), str(error)
    if (isinstance(error, OSError) and number in _FULL) or _FULL_IN_WORDS.search(text) is not None:
        return os.strerror(errno.ENOSPC if number is None else number), "make room"
    if (isinstance(error, OSError) and number in _FORBIDDEN) or _SQLITE_FORBIDDEN in text:
        return os.strerror(errno.EACCES if number is None else number), "see that you may write there"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
