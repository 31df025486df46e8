"""Cursors: how far a store has a journal."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.models.files import check_replaceable, open_regular, replace_file
from assay.search.system.urls import mask_secrets

_MOST_BYTES = 1 << 16
_NEW_SUFFIX = ".tracked-new"


def cursor_files(path: Path) -> tuple[Path, Path]:
    """Return the file of a cursor, and the one that is renamed to it."""
    return path, path.with_suffix(_NEW_SUFFIX)


def read_cursor(path: Path) -> Mapping[str, Any]:
    """Return the content of a cursor's file; empty if it can't be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError), open_regular(path, "rb") as file:
        record = json.loads(file.read(_MOST_BYTES))
        if isinstance(record, dict):
            return record
    return {}


def write_cursor(path: Path, record: Mapping[str, Any]) -> None:
    """Write a cursor's file.

    Raises:
        DamagedFile: there is a folder in its place.
        OSError: it can't be written; the old one is unchanged.
    """
    check_replaceable(path)
    # Renamed into place, so that a crash leaves either the old offset or the new one.
    _, new_file = cursor_files(path)
    with replace_file(new_file) as file:
        file.write(json.dumps(record).encode())
    new_file.replace(path)


class Cursor:
    """How far a store has a journal, kept in a file.

    Args:
        path: the file.
        tracking_uri: the store.

    Attributes:
        offset: in bytes; 0 if the file is about another store.
        is_of_store: whether the file is about this store, or does not exist.

    Raises:
        DamagedFile: there is a folder in the file's place.
    """

    def __init__(self, path: Path, tracking_uri: str) -> None:
        for file in cursor_files(path):
            check_replaceable(file)
        self._path = path
        self._tracking_uri = mask_secrets(tracking_uri)
        self.offset, self.is_of_store = 0, True
        # A file that cannot be read means offset 0: events that are repeated do no harm.
        record = read_cursor(path)
        if "tracking_uri" in record:
            # Masked once more: an earlier release masked fewer options.
            self.is_of_store = mask_secrets(str(record["tracking_uri"])) == self._tracking_uri
            offset = record.get("offset")
            if self.is_of_store and type(offset) is int and 0 <= offset < 2**63:
                self.offset = offset

    def move(self, offset: int) -> None:
        """Write a new offset to the file."""
        if offset == self.offset:
            return
        write_cursor(self._path, {"tracking_uri": self._tracking_uri, "offset": offset})
        self.offset = offset
