"""`npz:PATH`: your own arrays in one .npz file; also the reader of published .npz files.

An array is read only if its size is the one that its header claims, and to its end, where `zipfile`
compares the checksum. `numpy.load` would allocate whatever a header claims. Nothing is unpickled.
"""

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
from assay.experiments.data.sources.base import Source, resolve_path
from assay.models.errors import RequestError

NPZ_PREFIX = "npz:"
"""Prefix of a data set's name that is followed by the path of an .npz file."""

_CORRUPT_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # a password, or (NotImplementedError) a compression that this Python lacks
)


@dataclass(frozen=True)
class NpzSource(Source):
    """An .npz file with the four arrays.

    Attributes:
        path: absolute path of the file.
    """

    path: Path

    def cache_key(self) -> str:
        """Return the file's path, size and modification time.

        Raises:
            RequestError: the file cannot be read.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}.") from None
        return f"{self.path.resolve()} {status.st_size} {status.st_mtime_ns}"

    def count_training_examples(self) -> int:
        """Return the length of x_train, read from its header.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        shape = read_x_train_shape(self.path)
        return shape[0] if shape else 0

    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one input, read from the header of x_train.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        shape = read_x_train_shape(self.path)
        # Grey images may come without a channel axis; prepared ones have it.
        return (*shape[1:], 1) if len(shape) == 3 else shape[1:]

    def load(self) -> SourceArrays:
        """Read the file.

        Raises:
            RequestError: the file or one of its arrays is not what it should be.
        """
        return read_npz_file(self.path)


def locate_npz_file(name: str, data_dir: Path, base: Path) -> NpzSource:
    """Return the source for `npz:PATH`.

    Args:
        name: the name under [data], such as "npz:arrays.npz".
        data_dir: not used.
        base: the folder that a relative path starts from.

    Raises:
        RequestError: there is no such file.
    """
    path = resolve_path(name, NPZ_PREFIX, base)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not there"
        raise RequestError(
            f"{NPZ_PREFIX}PATH must be a file with the arrays {', '.join(ARRAY_NAMES)}: "
            f"{path} {problem}."
        )
    return NpzSource(f"{NPZ_PREFIX}{path.name}", path)


def read_npz_file(path: Path) -> SourceArrays:
    """Read the four arrays; y of shape (n, 1) becomes (n,).

    Raises:
        RequestError: the file or one of its arrays is not what it should be.
    """
    with _open_archive(path) as archive:
        arrays = {name: _read_array(archive, name, path) for name in ARRAY_NAMES}
    # `keras.datasets` has the labels of CIFAR-10 in a column.
    for name in ("y_train", "y_test"):
        if arrays[name].ndim == 2 and arrays[name].shape[1] == 1:
            arrays[name] = arrays[name][:, 0]
    return SourceArrays(**arrays)


def read_x_train_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of x_train, read from its header alone.

    Raises:
        RequestError: the file is not an .npz file, or has no such array.
    """
    with _open_archive(path) as archive, _open_member(archive, "x_train", path) as (stream, _):
        shape, _, _ = _read_header(stream, "x_train", path)
    return shape


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except RequestError:
        raise
    except MemoryError:
        raise RequestError(f"{path} does not fit into this machine's memory.") from None
    except _CORRUPT_ARCHIVE as error:
        raise RequestError(
            f"{path} is not an .npz file, or is damaged: {error}. Create or download it again."
        ) from None


@contextmanager
def _open_member(
    archive: zipfile.ZipFile, name: str, path: Path
) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array in the archive; yields its stream and its size in bytes."""
    members = archive.namelist()
    if f"{name}.npy" not in members:
        present = ", ".join(member.removesuffix(".npy") for member in members) or "nothing"
        raise RequestError(
            f"{path} must hold {', '.join(ARRAY_NAMES)}: {name} is missing; it holds {present}."
        )
    with archive.open(f"{name}.npy") as stream:
        yield stream, archive.getinfo(f"{name}.npy").file_size


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray[Any, Any]:
    with _open_member(archive, name, path) as (stream, size_bytes):
        shape, dtype, header_bytes = _read_header(stream, name, path)
        # Checked before reading: NumPy would allocate the memory that the header claims.
        if size_bytes != header_bytes + math.prod(shape) * dtype.itemsize:
            raise RequestError(
                f"{path}: {name} is damaged: {size_bytes:,} bytes cannot be {shape} of {dtype}."
            )
    # Opened again, because NumPy reads the header itself.
    with _open_member(archive, name, path) as (stream, _):
        array: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _read_header(
    stream: IO[bytes], name: str, path: Path
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return an array's shape, its type, and the size of its header in bytes."""
    # Version 3.0 is for arrays with named fields whose names are not Latin-1.
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    read_header = readers.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise RequestError(
            f"{path}: {name} has named fields; an array must be of one type of number."
        )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise RequestError(
            f"{path}: {name} holds pickled Python objects, which are never read: "
            "save plain numbers."
        )
    return shape, dtype, stream.tell()
