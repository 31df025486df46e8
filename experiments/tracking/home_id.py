"""Id of a home, by which Assay recognizes a copy of it.

A copy has the same study ids as its original. If both use one MLflow store outside of home, each
would write to, and delete, the runs of the other. So home has a random id in `home.json`, beside
the path where it was written, and MLflow has the id on each study's own run.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from assay.experiments.tracking.lookup import find_home_ids
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import RequestError
from assay.models.files import check_replaceable, open_regular, replace_file
from assay.search.system.files import FileLock, unwritable_error
from assay.search.system.urls import is_shared_database, mask_secrets, store_exists

_FILE = "home.json"
_MOST_BYTES = 1 << 16
_ID = re.compile(r"[0-9a-f]{32}")


class OtherHome(RequestError):
    """Another home records the runs of a study."""


@dataclass(frozen=True)
class _Record:
    """Content of `home.json`: the id, and where home was when it was written."""

    id: str
    path: str

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """Return the record in a home; None if there is none that can be read.

        Raises:
            PermissionError: the folder belongs to another user.
        """
        try:
            with open_regular(home / _FILE, "rb") as file:
                record = json.loads(file.read(_MOST_BYTES))
        except PermissionError:
            raise
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        number, path = record.get("id"), record.get("path")
        is_valid = isinstance(number, str) and _ID.fullmatch(number) and isinstance(path, str)
        return cls(str(number), str(path)) if is_valid else None


def read_home_id(workspace: Workspace) -> str | None:
    """Return home's id; None if it has none of its own, such as a new copy."""
    record = None
    with suppress(PermissionError):
        record = _Record.read(workspace.path)
    return None if record is None or _is_copy(record, workspace.path) else record.id


def ensure_home_id(workspace: Workspace) -> str:
    """Return home's id, and write a new one if it has none of its own.

    Raises:
        DamagedFile: there is a folder in its place.
        SearchError: it can't be written.
    """
    file, new_file = workspace.path / _FILE, workspace.path / f".{_FILE}.new"
    check_replaceable(file)
    try:
        with FileLock(workspace.path / f".{_FILE}.lock"):
            known = read_home_id(workspace)
            record = _Record(known or uuid.uuid4().hex, str(workspace.path))
            if _Record.read(workspace.path) != record:
                with replace_file(new_file) as opened:
                    opened.write(json.dumps(dataclasses.asdict(record)).encode())
                new_file.replace(file)
            return record.id
    except OSError as error:
        raise unwritable_error(file, error) or error from None


def _is_copy(record: _Record, home: Path) -> bool:
    """Return whether a home still exists where this record was written.

    If it does not, home was moved.
    """
    if record.path == str(home):
        return False
    try:
        if home.samefile(record.path):
            return False
        other = _Record.read(Path(record.path))
    except PermissionError:
        return True  # of another user: it can't be told
    except (OSError, ValueError):
        return False
    return other is not None and other.id == record.id


def is_recorded_elsewhere(store_paths: StorePaths, study: str, study_id: str) -> bool:
    """Return whether another home records this study's runs in the store.

    Several homes may work on a study of a shared storage. Home's own store has no other home's
    runs, and studies of earlier releases have no home's id.

    Raises:
        RequestError: the store can't be reached.
    """
    if is_shared_database(store_paths.storage) or store_paths.has_own_tracking:
        return False
    if not store_exists(store_paths.tracking_uri):
        return False
    found = find_home_ids(store_paths, study, study_id)
    return bool(found) and read_home_id(store_paths.workspace) not in found


def check_is_recorded_here(store_paths: StorePaths, study: str, study_id: str) -> None:
    """Check that no other home records this study's runs in the store.

    Raises:
        OtherHome: another home does.
        RequestError: the store can't be reached.
    """
    if is_recorded_elsewhere(store_paths, study, study_id):
        raise OtherHome(
            f"the runs of a study must be of one home: those of {study!r} in "
            f"{mask_secrets(store_paths.tracking_uri)} are of another one, of which this home is a "
            "copy; give this one a --study NAME, or another --tracking-uri."
        )
