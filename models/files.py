"""Files that are opened with care: those in home, and those that a user names.

A home may have been unpacked from an archive, or lie where others can write. A symbolic link in the
place of a lock, a journal or a partial file, if it were followed, would truncate a file of the
user's elsewhere. A pipe or a device in the place of any file would block, or never end.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from assay.models.errors import DamagedFile

_FLAGS = {
    "rb": os.O_RDONLY,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "wb": os.O_WRONLY | os.O_CREAT,  # truncated once it is known to be a regular file
}


def open_regular(path: Path, mode: Literal["rb", "ab", "wb"]) -> BinaryIO:
    """Open a file that only Assay writes; without a buffer if it is written.

    Args:
        path: path of the file.
        mode: as in `open`; "ab" and "wb" create the file.

    Raises:
        DamagedFile: it is a symbolic link, or no regular file.
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
        if path.is_symlink() or error.errno == errno.ENXIO:  # a pipe without a reader, a socket
            raise _not_regular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def create_file(path: Path) -> BinaryIO:
    """Create a file that only Assay writes, in the place of whatever file or link is there.

    Raises:
        OSError: it can't be created.
    """
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


def is_regular(path: Path) -> bool:
    """Return whether there is a regular file at a path, which is no link and behind no link."""
    try:
        check_no_link(path)
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, DamagedFile):
        return False


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
            if name.fullmatch(path.name) is not None and not path.is_dir():
                path.unlink(missing_ok=True)
        folder.rmdir()
    return not os.path.lexists(folder)


def _not_regular(path: Path) -> DamagedFile:
    kind = "a symbolic link" if path.is_symlink() else "no regular file"
    return DamagedFile(
        f"a file that only Assay writes must be a regular one: {path} is {kind}; remove it."
    )
