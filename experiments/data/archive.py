"""Data sets in one .npz file: the known ones, and `npz:PATH`."""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay.experiments.data.arrays import ARRAY_NAMES, SourceArrays
from assay.experiments.data.known import KNOWN, KnownSet
from assay.experiments.data.source import Source
from assay.models.errors import RequestError

# Reading the four arrays of an .npz file: never unpickled, checked to the last byte.
#
# `numpy.load` would do, but that it allocates whatever a header claims. Here an array must be
# exactly as long as its header says, so it is read to its end, where `zipfile` compares the
# checksum.


_CORRUPT = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
# RuntimeError: a password, or a compression that this Python does not know (NotImplementedError).


def read_archive(path: Path) -> SourceArrays:
    """Read the four arrays, y as (n,) also where the file has (n, 1).

    Raises:
        RequestError: the file or one of the arrays is not what it should be.
    """
    with _opened(path) as archive:
        arrays = {name: _read_array(archive, name, path) for name in ARRAY_NAMES}
    for name in ("y_train", "y_test"):
        if arrays[name].ndim == 2 and arrays[name].shape[1] == 1:
            arrays[name] = arrays[name][:, 0]
    return SourceArrays(**arrays)


def count_training_images(path: Path) -> int:
    """Return how many images x_train has, from its header alone.

    Raises:
        RequestError: the file is no archive, or has no such array.
    """
    with _opened(path) as archive, _member(archive, "x_train", path) as (stream, _):
        shape, _, _ = _read_header(stream, "x_train", path)
    return shape[0] if shape else 0


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except RequestError:
        raise
    except MemoryError:
        raise RequestError(f"{path} does not fit into this machine's memory.") from None
    except _CORRUPT as error:
        raise RequestError(
            f"{path} is not an .npz file, or is damaged: {error}. Make or fetch it anew."
        ) from None


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array's file in the archive; yields it with its size in bytes."""
    present = archive.namelist()
    if f"{name}.npy" not in present:
        found = ", ".join(entry.removesuffix(".npy") for entry in present) or "nothing"
        raise RequestError(
            f"{path} must hold {', '.join(ARRAY_NAMES)}: {name} is missing; it holds {found}."
        )
    with archive.open(f"{name}.npy") as stream:
        yield stream, archive.getinfo(f"{name}.npy").file_size


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray[Any, Any]:
    with _member(archive, name, path) as (stream, size):
        shape, dtype, header_bytes = _read_header(stream, name, path)
        if size != header_bytes + math.prod(shape) * dtype.itemsize:
            raise RequestError(
                f"{path}: {name} is damaged: {size:,} bytes cannot be {shape} of {dtype}."
            )
    with _member(archive, name, path) as (stream, _):
        array: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _read_header(
    stream: IO[bytes], name: str, path: Path
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return an array's shape, its type, and how many bytes its header takes."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    reader = readers.get(np.lib.format.read_magic(stream))
    if reader is None:
        raise RequestError(
            f"{path}: {name} has named fields; an array must be of one type of number."
        )
    shape, _, dtype = reader(stream)
    if dtype.hasobject:
        raise RequestError(
            f"{path}: {name} holds pickled Python objects, which are never read: save plain numbers."
        )
    return shape, dtype, stream.tell()


ARCHIVE_PREFIX = "npz:"
"""What a name begins with that says where the user's own arrays are."""


@dataclass(frozen=True)
class ArchiveSource(Source):
    """An .npz file with the four arrays.

    Attributes:
        path: of the file; a known set's need not be there yet.
    """

    path: Path

    @property
    def known(self) -> KnownSet | None:
        """What was published about it; None for the user's own."""
        return KNOWN.get(self.name)

    @property
    def is_there(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def cache_key(self) -> str:
        """Return the file's place, size and time of change.

        Raises:
            RequestError: it cannot be looked at.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}.") from None
        return f"{self.path.resolve()} {found.st_size} {found.st_mtime_ns}"

    def count(self) -> int:
        """Return how many examples x_train has, from its header; of a known set that is not there,
        the published size.

        Raises:
            RequestError: the file is no archive, or has no such array.
        """
        if self.known is not None and not self.is_there:
            return self.known.train_images
        return count_training_images(self.path)

    def load(self) -> SourceArrays:
        """Read the file.

        Raises:
            RequestError: it, or one of its arrays, is not what it should be.
        """
        return read_archive(self.path)


def own_archive(path: Path) -> ArchiveSource:
    """Return the user's own file as a source.

    Raises:
        RequestError: it is not there.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not there"
        raise RequestError(
            f"{ARCHIVE_PREFIX}PATH must be a file with the arrays {', '.join(ARRAY_NAMES)}: {path} {problem}."
        )
    return ArchiveSource(f"{ARCHIVE_PREFIX}{path.name}", path)
