"""The journal of a study: one JSON line an event, only ever appended to.

It is the first thing written. A line that says a trial changed state is on the disk before anybody
else hears of it; lines of epochs are left to the operating system, since an epoch whose trial died
with the machine is trained again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from assay.models.errors import SearchError
from assay.search.events import NAMES, EpochEnded, Event, from_record, to_record

Listener = Callable[[Event], None]

_LOOK_BACK_BYTES = 1 << 16


class Journal:
    """Appends events to a file and tells listeners of each once it is written.

    Opening cuts off a last line that a crash left unfinished: nobody has acted on it.

    Raises:
        OSError: the file can't be opened or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._listeners: list[Listener] = []
        # Unbuffered: what could not be written must not be tried again when the file is closed.
        self._file = path.open("ab", buffering=0)
        _cut_torn_line(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every event from now on, after it is written."""
        self._listeners.append(listener)

    def append(self, event: Event) -> None:
        """Write the event, then tell the listeners.

        Raises:
            SearchError: it can't be written, since the disk is full, say. The journal is as it was.
        """
        line = json.dumps(to_record(event), separators=(",", ":")).encode() + b"\n"
        before = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
            if not isinstance(event, EpochEnded):
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise SearchError(
                f"the journal {self.path} can't be written ({error.strerror}): make room; "
                "then the same command goes on from here."
            ) from error
        for listener in self._listeners:
            listener(event)


def read(
    path: Path, offset: int = 0, only: Sequence[type[Event]] = ()
) -> Iterator[tuple[Event, int]]:
    """Yield the events of a journal from a byte offset on, each with the offset behind it.

    Stops before a line that is not finished yet. A journal that does not exist has no events.

    Args:
        path: the journal.
        offset: of the first line that is read.
        only: kinds of events; the lines of all others are passed over, which takes a twentieth of
            reading them.
    """
    if not path.exists():
        return
    beginnings = tuple(_beginning(kind) for kind in only) or b""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            if line.startswith(beginnings):
                yield from_record(json.loads(line)), offset


def last(path: Path) -> Event | None:
    """Return the last event of a journal, whatever its length; None if it has none."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        end = _behind_last_newline(file)
        start = _behind_last_newline(file, end - 1)
        file.seek(start)
        if end > start:
            return from_record(json.loads(file.read(end - start)))
    return None


def _beginning(kind: type[Event]) -> bytes:
    return f'{{"event":"{NAMES[kind]}"'.encode()


def _cut_torn_line(path: Path) -> None:
    with path.open("rb") as file:
        whole = _behind_last_newline(file)
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _behind_last_newline(file: BinaryIO, before: int | None = None) -> int:
    """Return the offset behind the last newline of a file, or the last before an offset; 0 if there
    is none.
    """
    end = file.seek(0, os.SEEK_END) if before is None else before
    while end > 0:
        start = max(0, end - _LOOK_BACK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
