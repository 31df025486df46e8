"""Safe opening of files in home and of files that a user names.

A home may have been unpacked from an archive, or lie where others can write. A symbolic link in the
place of a lock, a journal or a partial file, if it were followed, would truncate a file of the
user's elsewhere. A pipe or a device in the place of any file would block, or never end. A file with
a second name, a hard link, may belong to another home too.

Users may link their own files, and may pipe a text to a command; these have openers of their own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from assay.models.errors import DamagedFile, RequestError

MOST_TEXT_BYTES = 16_000_000
"""Largest text file of a user, such as a list of configurations."""

PIPE_START_SECONDS = 5.0
"""Time limit for a program to open the other end of a pipe."""

PIPE_SILENCE_SECONDS = 60.0
"""Time limit for a program at the other end of a pipe to write something."""

_PART_BYTES = 1 << 20
_LONGEST_PART_BYTES = 255
_LONGEST_PATH_BYTES = 3_000  # Linux allows 4,095, of which folders before and files below need some
_POLL_SECONDS = 0.25

Purpose = Literal[
    "artifact", "artifacts", "code", "dry-run", "git", "mlflow", "model", "preflight", "ui"
]
"""What a temporary folder is for."""

# Earlier releases did not lock their folders: nothing says whether one of those is in use.
_TEMPORARY = "assay-{}-locked-"
# A name as `tempfile.mkdtemp` makes it.
_TEMPORARY_NAME = re.compile(f"assay-({'|'.join(get_args(Purpose))})-locked-[a-z0-9_]{{8}}")
_MARKER = ".assay-temporary"  # a file that says that the folder may be removed

_FLAGS = {
    "rb": os.O_RDONLY,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "wb": os.O_WRONLY | os.O_CREAT,  # truncated once it is known to be a regular file
}
_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


def open_regular(path: Path, mode: Literal["rb", "ab", "wb"]) -> BinaryIO:
    """Open a file that only Assay writes; without a buffer if it is written.

    Args:
        path: path of the file.
        mode: as in `open`; "ab" and "wb" create the file.

    Raises:
        DamagedFile: it is a symbolic link or no regular file, or it has hard links.
        OSError: it can't be opened.
    """
    descriptor = open_descriptor(path, _FLAGS[mode])
    if mode == "wb":
        os.truncate(descriptor, 0)
    return os.fdopen(descriptor, mode, buffering=-1 if mode == "rb" else 0)


def open_descriptor(path: Path, flags: int) -> int:
    """Open a file as `open_regular` does, and return its descriptor.

    Args:
        path: path of the file.
        flags: of `os.open`.
    """
    try:
        # Without O_NONBLOCK, a pipe would block until another process opens its other end.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # A pipe without a reader, a socket, a folder.
        if path.is_symlink() or error.errno in (errno.ENXIO, errno.EISDIR):
            raise _not_regular(path) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(path)
        _check_links(path, status)
    except DamagedFile:
        os.close(descriptor)
        raise
    return descriptor


def check_one_name(path: Path) -> None:
    """Check that a file that only Assay writes has no other name, if it exists.

    Raises:
        DamagedFile: it has hard links.
    """
    with suppress(OSError):
        _check_links(path, path.stat())


def _check_links(path: Path, status: os.stat_result) -> None:
    # As after `cp -al`: both copies would share the file, and its lock.
    if status.st_nlink > 1:
        raise DamagedFile(
            f"a file that only Assay writes must have one name: {path} has {status.st_nlink}, as "
            "after 'cp -al', so that a copy would change with it; remove the copy and make it "
            "again with 'cp -a'."
        )


def check_replaceable(path: Path) -> None:
    """Check that a file that only Assay writes can be put at a path.

    Raises:
        DamagedFile: there is a folder.
    """
    if path.is_dir() and not path.is_symlink():
        raise _not_regular(path)


def replace_file(path: Path) -> BinaryIO:
    """Create a file that only Assay writes, in the place of whatever file or link is there.

    Raises:
        DamagedFile: it is a folder.
        OSError: it can't be created.
    """
    check_replaceable(path)
    path.unlink(missing_ok=True)
    return path.open("xb")  # which follows no link


def make_folder(path: Path) -> None:
    """Create a folder that only Assay writes, and its parents, if they do not exist.

    Args:
        path: path of the folder, without links.

    Raises:
        DamagedFile: it is a symbolic link, or lies behind one.
        OSError: it can't be created.
    """
    check_no_link(path)
    path.mkdir(parents=True, exist_ok=True)


def check_path_length(path: Path, what: str) -> None:
    """Check that a path of a user is not too long for a file system, which raises an OSError.

    Args:
        path: the path.
        what: what an error calls it, such as "home".

    Raises:
        RequestError: it is too long, or a part of it.
    """
    size, *parts = (len(text.encode(errors="replace")) for text in (str(path), *path.parts))
    longest = max(parts, default=0)
    if longest > _LONGEST_PART_BYTES or size > _LONGEST_PATH_BYTES:
        raise RequestError(
            f"{what} must be a path of at most {_LONGEST_PATH_BYTES:,} bytes, with at most "
            f"{_LONGEST_PART_BYTES} between two slashes; received {size:,} bytes, with "
            f"{longest:,} between two slashes: give another."
        )


def check_no_link(path: Path) -> None:
    """Check that no part of a path is a symbolic link.

    Raises:
        DamagedFile: one is.
    """
    real = os.path.realpath(path)
    if real != str(path.absolute()):
        raise DamagedFile(
            f"a part of home must not be a symbolic link: {path} leads to {real}; remove the "
            "link, or choose another home with --home."
        )


@contextmanager
def temporary_folder(purpose: Purpose) -> Iterator[Path]:
    """Create a temporary folder, and remove it at the end.

    Folders of processes that were killed are removed too.

    Args:
        purpose: part of its name.

    Yields:
        The folder, which no other user can read.

    Example:
        >>> with temporary_folder("git") as folder:
        ...     (folder / "HEAD").write_text(commit)
    """
    _remove_abandoned_folders()
    while True:
        # Not by `mkdtemp`: this one is removed at exit even if its thread never comes to the end.
        folder = tempfile.TemporaryDirectory(
            prefix=_TEMPORARY.format(purpose), ignore_cleanup_errors=True
        )
        # None where folders can't be locked, such as on NFS: no other process removes it there.
        descriptor = _lock_folder(Path(folder.name), wait=True)
        if Path(folder.name).is_dir():
            break
        # Another process has removed it before it was locked.
        if descriptor is not None:
            os.close(descriptor)
    try:
        with folder:
            (Path(folder.name) / _MARKER).touch()
            yield Path(folder.name).resolve()
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _remove_abandoned_folders() -> None:
    """Remove the temporary folders of this user that no process holds locked.

    A folder with such a name may be a user's own: it is left unless Assay has marked it.
    """
    for path in Path(tempfile.gettempdir()).glob(_TEMPORARY.format("*") + "*"):
        if _TEMPORARY_NAME.fullmatch(path.name) is None:
            continue
        descriptor = _lock_folder(path, wait=False)
        if descriptor is None:
            continue
        try:
            if _is_marked(descriptor):
                shutil.rmtree(path, ignore_errors=True)  # follows no link
        finally:
            os.close(descriptor)


def _is_marked(descriptor: int) -> bool:
    """Return whether an open folder is a temporary folder of this user."""
    found = os.fstat(descriptor)
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        return False
    try:
        marker = os.stat(_MARKER, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(marker.st_mode) and marker.st_uid == os.getuid()


def _lock_folder(path: Path, wait: bool) -> int | None:
    """Return a descriptor that locks a folder; None if another process does, or it is gone.

    The system releases the lock when the process ends, however it ends.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def make_private_folder(path: Path) -> bool:
    """Create a folder that is private to this user; return whether that worked.

    An existing folder of this user becomes private.

    Args:
        path: path of the folder; its parents are created, with the usual mode.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid == os.getuid():
                os.fchmod(descriptor, 0o700)
                return True
        finally:
            os.close(descriptor)
    return False


def is_regular(path: Path) -> bool:
    """Return whether there is a regular file at a path, which is no link and behind no link."""
    try:
        check_no_link(path)
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, DamagedFile):
        return False


def delete_file(path: Path) -> None:
    """Delete a file that only Assay writes, if it exists.

    A folder in its place, and what lies behind a link, are left alone.

    Raises:
        OSError: it can't be deleted.
    """
    with suppress(FileNotFoundError, NotADirectoryError, DamagedFile):
        check_no_link(path.parent)
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()


def delete_files(folder: Path, name: re.Pattern[str]) -> bool:
    """Delete the files in a folder whose names match, and the folder if nothing else is in it.

    A folder that is a link, or behind one, is left alone.

    Args:
        folder: the folder, which need not exist.
        name: pattern of the whole names.

    Returns:
        Whether nothing is left of the folder.
    """
    with suppress(OSError, DamagedFile):
        check_no_link(folder)
        for path in list(folder.iterdir()):
            if name.fullmatch(path.name) is not None:
                delete_file(path)
        folder.rmdir()
    return not os.path.lexists(folder)


def _not_regular(path: Path) -> DamagedFile:
    kind = "a symbolic link" if path.is_symlink() else "no regular file"
    return DamagedFile(
        f"a file that only Assay writes must be a regular one: {path} is {kind}; remove it."
    )


def open_user_file(path: Path) -> BinaryIO:
    """Open a regular file of a user for reading; symbolic links are followed.

    Raises:
        IsADirectoryError: it is a folder.
        ValueError: it is a pipe, a socket or a device, which might block or never end.
        OSError: it can't be opened.
    """
    descriptor, _ = _open_of_kinds(path, (stat.S_IFREG,))
    return os.fdopen(descriptor, "rb")


def read_user_file(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> bytes:
    """Return the content of a small file of a user, or of a pipe such as `<(command)`.

    Args:
        path: path of the file or the pipe; symbolic links are followed.
        most_bytes: limit of its size.

    Raises:
        IsADirectoryError: it is a folder.
        ValueError: it is a socket or a device; it is too large; or nothing writes to the pipe.
        OSError: it can't be read.
    """
    descriptor, kind = _open_of_kinds(path, (stat.S_IFREG, stat.S_IFIFO))
    try:
        # The size first: a larger file is not read at all.
        size = os.fstat(descriptor).st_size
        if kind == stat.S_IFREG and size > most_bytes:
            raise ValueError(_too_large(f"{size:,}", most_bytes))
        content = bytearray()
        while part := _read_part(descriptor, kind, is_first=not content):
            content += part
            if len(content) > most_bytes:
                raise ValueError(_too_large(f"more than {most_bytes:,}", most_bytes))
    finally:
        os.close(descriptor)
    return bytes(content)


def _read_part(descriptor: int, kind: int, is_first: bool) -> bytes:
    """Return the next bytes of a file or a pipe that is opened without blocking; none at its end.

    Raises:
        ValueError: no process has opened the pipe for writing, or none writes to it.
    """
    if kind == stat.S_IFREG:
        return os.read(descriptor, _PART_BYTES)
    events = select.poll()
    events.register(descriptor, select.POLLIN)
    silence_ends = time.monotonic() + PIPE_SILENCE_SECONDS
    start_ends = time.monotonic() + PIPE_START_SECONDS
    while time.monotonic() < silence_ends:
        # A pipe that no process has opened for writing yet has no event, and reads as if it ended.
        has_event = bool(events.poll(_POLL_SECONDS * 1_000))
        with suppress(BlockingIOError):  # a process has it open and has written nothing yet
            part = os.read(descriptor, _PART_BYTES)
            if part or has_event or not is_first:
                return part
            if time.monotonic() >= start_ends:
                raise ValueError("it is a pipe that no process writes to: start one that does")
    raise ValueError(
        f"it is a pipe to which nothing was written for {PIPE_SILENCE_SECONDS:g} s: check the "
        "command that writes to it"
    )


def _open_of_kinds(path: Path, kinds: Collection[int]) -> tuple[int, int]:
    """Open a file of one of these kinds for reading; return its descriptor and its kind."""
    # Before it is opened too, because some devices do something when they are opened.
    _check_kind(path, path.stat(), kinds)
    # Without O_NONBLOCK, a pipe would block until another process opens its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return descriptor, _check_kind(path, os.fstat(descriptor), kinds)
    except (OSError, ValueError):
        os.close(descriptor)
        raise


def _check_kind(path: Path, status: os.stat_result, kinds: Collection[int]) -> int:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind not in kinds:
        raise ValueError(f"it is a {_KINDS.get(kind, 'special file')}, not a file: give a file")
    return kind


def _too_large(size: str, most_bytes: int) -> str:
    return f"it must have at most {most_bytes:,} bytes and has {size}: give a smaller file"
