"""The journal of a study: one JSON line an event, only ever appended to.

It is the first thing written. A line that says a trial changed state is on the disk before anybody else hears of it;
lines of epochs are left to the operating system, since an epoch whose trial died with the machine is trained again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from search.events import EpochEnded, Event, from_record, to_record

Listener = Callable[[Event], None]


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
        self._file = path.open("ab")
        _cut_torn_line(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every event from now on, after it is written."""
        self._listeners.append(listener)

    def append(self, event: Event) -> None:
        """Write the event, then tell the listeners."""
        self._file.write(json.dumps(to_record(event), separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if not isinstance(event, EpochEnded):
            os.fsync(self._file.fileno())
        for listener in self._listeners:
            listener(event)


def read(path: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """Yield the events of a journal from a byte offset on, each with the offset behind it.

    Stops before a line that is not finished yet. A journal that does not exist has no events.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield from_record(json.loads(line)), offset


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
