"""Artifact addresses, which MLflow keeps in its database as absolute paths.

A home that was copied or moved still has the addresses of its original: a sweep in the copy would
write its models over those of the original. So in home's own store artifacts are read and written
below home only. Addresses of the folder where a home was before are changed to the new one; any
other address is left, and nothing is written there.

An SQLite store outside of home may have been copied too. Its addresses are not changed, because
other homes may use it, and those that lead to this machine are used below home only.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from assay.experiments.formatting import format_count
from assay.experiments.tracking.cursor import read_cursor, write_cursor
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import DamagedFile, RequestError, SearchError
from assay.models.files import check_no_link
from assay.search.system.files import FileLock, check_database, unwritable_error
from assay.search.system.urls import (
    first_line,
    is_server,
    local_path,
    mask_secrets,
    sqlite_file,
    sqlite_url,
)


@dataclass(frozen=True)
class _AddressColumn:
    """A column of MLflow's tables that has addresses.

    Attributes:
        table: name of the table.
        column: name of the column.
        condition: on the rows that have one, in SQL.
    """

    table: str
    column: str
    condition: str = "1"


_COLUMNS = (
    _AddressColumn("experiments", "artifact_location"),
    _AddressColumn("runs", "artifact_uri"),
    _AddressColumn("logged_models", "artifact_location"),
    _AddressColumn("model_versions", "source"),
    _AddressColumn("model_versions", "storage_location"),
    _AddressColumn(
        "trace_tags", "value", "key IN ('mlflow.artifactLocation', 'mlflow.trace.archiveLocation')"
    ),
    _AddressColumn("workspaces", "default_artifact_root"),
    _AddressColumn("workspaces", "trace_archival_location"),
)
_BUSY_SECONDS = 20.0


@dataclass(frozen=True)
class ArtifactGuard:
    """Which artifact addresses of a store may be used.

    Attributes:
        tracking_uri: the store.
        artifacts: home's folder of artifacts.
    """

    tracking_uri: str
    artifacts: Path

    @classmethod
    def of(cls, store_paths: StorePaths) -> Self:
        """Return the guard of a command's store."""
        return cls(store_paths.tracking_uri, store_paths.workspace.artifacts)

    @classmethod
    def for_reading(cls, store_paths: StorePaths) -> Self:
        """Return the guard for reading from a store that may be another home's.

        Its artifacts lie beside its database, where `Workspace.artifacts` is.
        """
        database = sqlite_file(store_paths.tracking_uri)
        if database is None or store_paths.has_own_tracking:
            return cls.of(store_paths)
        return cls(store_paths.tracking_uri, Workspace(database.absolute().parent).artifacts)

    def refusal_reason(self, address: str, files: Iterable[str] = ()) -> str | None:
        """Return why nothing may be read or written at an address; None if it may.

        Args:
            address: of a run's artifacts.
            files: the files that are to be written below it.

        Example:
            >>> ArtifactGuard("http://server", home / "artifacts").refusal_reason("file:///tmp/0")
            "the tracking server names a folder of its own, file:///tmp/0"
        """
        path = local_path(address)
        if is_server(self.tracking_uri):
            # Such an address is meant for the server's machine; here it could be any file.
            return (
                None
                if path is None
                else f"the tracking server names a folder of its own, {address}"
            )
        if sqlite_file(self.tracking_uri) is None:
            return None
        is_own = Workspace(self.artifacts.parent).owns_tracking(self.tracking_uri)
        if path is None and not is_own:
            return None
        # A store outside of home may have been copied with it, and lead to the original's files.
        if path is None or not _is_below(path, self.artifacts):
            owner = "home's store" if is_own else f"the store {mask_secrets(self.tracking_uri)}"
            return f"{owner} has an address outside of home, {address}"
        try:
            check_no_link(path)
            faults = [*map(_artifact_fault, _walk(path)), *_find_obstacles(path, files)]
            return next(filter(None, faults), None)
        except DamagedFile as error:
            return str(error)
        except OSError as error:  # such as of a path that is too long
            return f"the artifacts in {path} can't be read ({error.strerror}); remove them"


@dataclass(frozen=True)
class Relocation:
    """Addresses in a home that lead to where it was before it was copied or moved.

    Attributes:
        origin: where home was, as the first address says.
        addresses: number of addresses that lead there.
    """

    origin: Path
    addresses: int

    @property
    def tracking_uri(self) -> str:
        """The store of the home before, as cursors name it."""
        return mask_secrets(sqlite_url(self.origin / "mlflow.db"))

    def locate(self, address: str, artifacts: Path) -> Path | None:
        """Return where home has what an address below the old folder leads to.

        Args:
            address: an address in the store.
            artifacts: home's folder of artifacts.

        Returns:
            None for any other address.
        """
        path, former = local_path(address), self.origin / "artifacts"
        return artifacts / path.relative_to(former) if path and _is_below(path, former) else None

    def __str__(self) -> str:
        return (
            f"home was copied or moved from {self.origin}: its MLflow store has "
            f"{format_count(self.addresses, 'artifact address', 'artifact addresses')} there"
        )


def find_relocation(workspace: Workspace) -> Relocation | None:
    """Return which addresses of home's own stores lead to another folder; None if none does."""
    origins, addresses = [], 0
    for store, artifacts in _stores(workspace):
        # A store that can't be read is refused by what opens it to work with it.
        with contextlib.suppress(SearchError), _open_database(store, "ro") as database:
            for root in _find_old_roots(database, artifacts):
                origins.append(local_path(root))
                addresses += _count_below(database, root)
    return Relocation(origins[0].parent, addresses) if origins and origins[0] is not None else None


def update_addresses(workspace: Workspace) -> Relocation | None:
    """Change the addresses that lead to where home was before.

    Returns:
        What was changed; None if nothing had to be.

    Raises:
        SearchError: the store can't be written.
    """
    if find_relocation(workspace) is None:
        return None
    with FileLock(workspace.path / ".mlflow.db.lock"):
        relocation = find_relocation(workspace)  # another process may have held the lock
        if relocation is not None:
            # The cursors first: after a death in between, the relocation is still found.
            _update_cursors(workspace, relocation.tracking_uri)
            for store, artifacts in _stores(workspace):
                with _open_database(store, "rw") as database:
                    for root in _find_old_roots(database, artifacts):
                        _replace_root(database, root, artifacts.as_uri())
        return relocation


def check_addresses(workspace: Workspace) -> None:
    """Check that all runs of home's own store have their artifacts in home.

    Raises:
        RequestError: some have not.
    """
    outside = []
    for store, artifacts in _stores(workspace):
        with _open_database(store, "ro") as database:
            for found in _columns(database):
                if found.table != "experiments":  # that of an experiment is for runs to come
                    rows = database.execute(
                        f"SELECT {found.column} FROM {found.table} WHERE {found.condition}"
                    )
                    outside += [address for (address,) in rows if _is_outside(address, artifacts)]
    if outside:
        raise RequestError(
            "artifacts of home's own store must lie in home: received "
            f"{format_count(len(outside), 'address', 'addresses')} outside of it, such as "
            f"{outside[0]}; look at these with 'mlflow ui --backend-store-uri "
            f"{sqlite_url(workspace.path / 'mlflow.db')}' if you trust them."
        )


def _is_outside(address: object, artifacts: Path) -> bool:
    """Return whether an address leads to this machine, but not below a folder."""
    path = local_path(str(address or ""))
    # Addresses such as "models:/m-1", and empty ones, lead to another entry of the store.
    return bool(address) and path is not None and not _is_below(path, artifacts)


def _stores(workspace: Workspace) -> Iterator[tuple[Path, Path]]:
    """Yield each of home's own databases, with its folder of artifacts."""
    for folder in (workspace.path, workspace.user_mlflow):
        store = folder / "mlflow.db"
        if store.is_file() and not store.is_symlink():
            yield store, folder / "artifacts"


@contextlib.contextmanager
def _open_database(store: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a database of MLflow; what is written in this context is written as a whole.

    Args:
        store: the file.
        mode: "ro" or "rw".

    Raises:
        DamagedFile: it has a view.
        SearchError: it can't be read or written.
    """
    check_database(store)  # see there
    address = f"file:{urllib.parse.quote(str(store))}?mode={mode}"
    try:
        with (
            contextlib.closing(
                sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)
            ) as database,
            database,
        ):
            yield database
    except sqlite3.Error as error:
        raise unwritable_error(store, error) or SearchError(
            f"{store} can't be read or changed ({first_line(error)}): try again."
        ) from None


def _find_old_roots(database: sqlite3.Connection, artifacts: Path) -> Sequence[str]:
    """Return the folders, as addresses, below which a moved home had its artifacts.

    An address that a user has chosen for an experiment of their own looks different: home does not
    hold its files.
    """
    roots: dict[str, None] = {}
    for number, address in database.execute(
        "SELECT experiment_id, artifact_location FROM experiments"
    ):
        path = local_path(str(address))
        if path is None or path.parent == artifacts or path.parent.name != "artifacts":
            continue
        if number == 0 or (artifacts / path.name).is_dir():
            roots[str(address).rpartition("/")[0]] = None
    return list(roots)


def _count_below(database: sqlite3.Connection, root: str) -> int:
    """Return the number of addresses below a folder."""
    return sum(
        database.execute(
            f"SELECT count(*) FROM {found.table} "
            f"WHERE {found.condition} AND substr({found.column}, 1, ?) = ?",
            (len(root) + 1, f"{root}/"),
        ).fetchone()[0]
        for found in _columns(database)
    )


def _replace_root(database: sqlite3.Connection, old: str, new: str) -> None:
    """Replace the beginning of all addresses below a folder."""
    for found in _columns(database):
        database.execute(
            f"UPDATE {found.table} SET {found.column} = ? || substr({found.column}, ?) "
            f"WHERE {found.condition} AND substr({found.column}, 1, ?) = ?",
            (new, len(old) + 1, len(old) + 1, f"{old}/"),
        )


def _columns(database: sqlite3.Connection) -> Iterator[_AddressColumn]:
    """Yield the columns with addresses that this release of MLflow has."""
    for found in _COLUMNS:
        query = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
        if database.execute(query, (found.table, found.column)).fetchone():
            yield found


def _update_cursors(workspace: Workspace, old: str) -> None:
    """Change the store that cursors name, which was that of the home before."""
    new = mask_secrets(workspace.tracking)
    for cursor in workspace.path.glob("journal/*.tracked"):
        record = read_cursor(cursor)
        if record.get("tracking_uri") == old:
            write_cursor(cursor, {**record, "tracking_uri": new})


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is below a folder; links are not followed."""
    folders = [folder] if folder.is_dir() else []
    while folders:  # not recursive: folders may be nested deeply
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry))


def _find_obstacles(folder: Path, files: Iterable[str]) -> Iterator[str]:
    """Yield what is in the place of a file that is to be written, or of its folder."""
    # MLflow would write below a folder, or fail again and again.
    for file in (folder / name for name in files):
        if file.is_dir():
            yield f"an artifact in home must be a file: {file} is a folder; remove it"
        for parent in file.parents:
            if parent.exists() and not parent.is_dir():
                yield f"a folder of artifacts in home must be one: {parent} is a file; remove it"


def _artifact_fault(entry: os.DirEntry[str]) -> str | None:
    """Return why an artifact in home may not be replaced; None if it may."""
    # A link in the place of an earlier artifact would be written through; a pipe would block.
    if entry.is_symlink():
        return f"an artifact in home is a symbolic link: {entry.path}; remove it"
    if entry.is_dir(follow_symlinks=False):
        return None
    if not entry.is_file(follow_symlinks=False):
        return f"an artifact in home is no regular file: {entry.path}; remove it"
    if entry.stat(follow_symlinks=False).st_nlink > 1:
        return f"an artifact in home has a second name, a hard link: {entry.path}; remove it"
    return None


def _is_below(path: Path, folder: Path) -> bool:
    return ".." not in path.parts and path.is_relative_to(folder) and path != folder
