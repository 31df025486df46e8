"""Journal of a study: a file of events, one JSON object per line.

The journal is only appended to, and written before any other store. A line that says that a trial
changed state is on the disk (fsync) before another store is written. Lines of epochs are left to
the operating system: if the machine dies, their trial is trained again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from assay.models.errors import DamagedFile, SearchError
from assay.models.files import make_folder, open_regular
from assay.search.events import (
    EVENT_NAMES,
    MOST_NAMES,
    EpochEnded,
    Event,
    TrialBegun,
    TrialEnded,
    from_record,
    to_record,
)

Listener = Callable[[Event], None]

_CHUNK_BYTES = 1 << 16
LONGEST_LINE_BYTES = 16 << 20
"""Limit of a line. The longest is that of an opened study: it holds the experiment's file twice,
the user's code and the data's classes. What is read from a line takes up to 25 times its memory.
"""


class Journal:
    """Appends events to a file, then calls its listeners.

    Opening it cuts off an unfinished last line, which a crash has left: no store has acted on it.

    Args:
        path: the file; it and its folder are created if they do not exist.

    Raises:
        DamagedFile: the file is a symbolic link, or no regular file.
        OSError: the file cannot be opened or written.

    Example:
        >>> with Journal(Path("mlruns/journal/digits-mlp.jsonl")) as journal:
        ...     journal.subscribe(display.on_event)
        ...     journal.append(EpochEnded(trial=0, epoch=1, metrics={"loss": 0.5}, seconds=1.2))
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self.path = path
        self._listeners: list[Listener] = []
        # Unbuffered: a line that could not be written must not be written again by closing.
        self._file = open_regular(path, "ab")
        _cut_unfinished_line(path, self._file)

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
        """Call `listener` with every further event, after it is written."""
        self._listeners.append(listener)

    def append(self, event: Event) -> None:
        """Write an event, then call the listeners.

        Raises:
            SearchError: it cannot be written, for example to a full disk, or is too large to be
                read again. The journal is unchanged.
        """
        record = to_record(event)
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self._check_size(record, line)
        size_before = self._file.seek(0, os.SEEK_END)
        try:
            while line:  # an unbuffered write may write a part
                line = line[self._file.write(line) :]
            if not isinstance(event, EpochEnded):
                os.fsync(self._file.fileno())
        except OSError as error:
            # Without the half line, which the next event would make unreadable.
            self._file.truncate(size_before)
            raise SearchError(
                f"the journal {self.path} can't be written ({error.strerror}): make room; "
                "then the same command goes on from here."
            ) from error
        for listener in self._listeners:
            listener(event)

    def _check_size(self, record: Mapping[str, Any], line: bytes) -> None:
        names = max((len(value) for value in record.values() if isinstance(value, dict)), default=0)
        if len(line) >= LONGEST_LINE_BYTES or names > MOST_NAMES:
            raise SearchError(
                f"an event of a journal must have at most {LONGEST_LINE_BYTES:,} bytes and "
                f"{MOST_NAMES:,} names: {record['event']} has {len(line):,} bytes and {names:,} "
                "names; shorten the experiment's file, or return fewer metrics."
            )


def read_events(
    path: Path,
    offset: int = 0,
    only: Sequence[type[Event]] = (),
    skip_damaged: bool = False,
    trial: int | None = None,
) -> Iterator[tuple[Event, int]]:
    """Yield the events of a journal, each with the byte offset behind it.

    An unfinished last line is not read. A journal that does not exist has no events.

    Args:
        path: the journal.
        offset: byte offset of the first line to read.
        only: types of events; lines of other types are skipped without parsing them, twenty times
            as fast.
        skip_damaged: whether lines, and files, that can't be read are skipped.
        trial: number of a trial; events of other trials are skipped likewise. Needs `only`.

    Raises:
        DamagedFile: a line can't be read, or the file is no regular one.
    """
    prefixes = tuple(_line_prefix(kind, trial) for kind in only) or b""
    try:
        opened = open_regular(path, "rb")
    except FileNotFoundError:
        return
    except (OSError, DamagedFile):
        if skip_damaged:
            return
        raise
    with opened as file:
        file.seek(offset)
        # A line without an end, as of a foreign file, must not fill the memory.
        while line := file.readline(LONGEST_LINE_BYTES):
            if not line.endswith(b"\n"):
                if len(line) < LONGEST_LINE_BYTES or skip_damaged:
                    return  # it is being written, or was when its process died
                raise _damaged_line(path, offset, f"it has over {LONGEST_LINE_BYTES:,} bytes")
            begin, offset = offset, offset + len(line)
            if line.startswith(prefixes):
                try:
                    event = _parse_line(line)
                except ValueError as error:
                    if skip_damaged:
                        continue
                    raise _damaged_line(path, begin, str(error)) from None
                yield event, offset


def last_event(path: Path) -> Event | None:
    """Return the last event of a journal; None if it has none.

    Raises:
        DamagedFile: its line can't be read, or the file is no regular one.
    """
    # The file is read from its end: a journal may have hundreds of megabytes.
    with suppress(FileNotFoundError), open_regular(path, "rb") as file:
        end = _offset_behind_newline(file)
        start = _offset_behind_newline(file, end - 1)
        file.seek(start)
        if end > start:
            try:
                return _parse_line(file.read(min(end - start, LONGEST_LINE_BYTES)))
            except ValueError as error:
                raise _damaged_line(path, start, str(error)) from None
    return None


def _parse_line(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        ValueError: the line is not that of an event; the message says what is wrong with it.
    """
    try:
        record = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return from_record(record)


def _damaged_line(path: Path, offset: int, why: str) -> DamagedFile:
    with open_regular(path, "rb") as file:
        number = 1 + sum(chunk.count(b"\n") for chunk in _read_chunks(file, offset))
    return DamagedFile(
        f"each line of a journal must hold one event: {path}, line {number:,}: {why}; restore the "
        "file from a backup, or delete the study with 'assay delete'."
    )


def _read_chunks(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the bytes of a file before an offset, in chunks."""
    while (left := end - file.tell()) > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        yield chunk


def _line_prefix(kind: type[Event], trial: int | None = None) -> bytes:
    """Return how every line of an event type begins, as `Journal.append` writes it.

    Args:
        kind: the event type.
        trial: number of a trial, for the lines of this trial; ignored for events of a study.
    """
    is_of_trial = trial is not None and kind in (TrialBegun, EpochEnded, TrialEnded)
    number = f',"trial":{trial},' if is_of_trial else ""
    return f'{{"event":"{EVENT_NAMES[kind]}"{number}'.encode()


def _cut_unfinished_line(path: Path, journal: BinaryIO) -> None:
    with open_regular(path, "rb") as file:
        end = _offset_behind_newline(file)
        size = file.seek(0, os.SEEK_END)
    if end < size:
        journal.truncate(end)


def _offset_behind_newline(file: BinaryIO, before: int | None = None) -> int:
    """Return the offset behind the last newline of a file; 0 if it has none.

    Args:
        file: the file, which is read backwards, in chunks.
        before: offset before which the newline is; None for the end of the file.
    """
    end = file.seek(0, os.SEEK_END) if before is None else before
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
