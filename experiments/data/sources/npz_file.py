"""`npz:PATH`: your own arrays in one .npz file; also the reader of published .npz files.

An array is read only if its size is the one that its header claims, and to its end, where `zipfile`
compares the checksum. `numpy.load` would allocate whatever a header claims. Nothing is unpickled.
"""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay.experiments.data.arrays import ARRAY_NAMES, VALIDATION_NAMES, SourceArrays
from assay.experiments.data.layout import Layout, predict_input_shape
from assay.experiments.data.sources.base import Source, resolve_path
from assay.models.errors import RequestError

NPZ_PREFIX = "npz:"
"""Prefix of a data set's name that is followed by the path of an .npz file."""

VALIDATION_PARTS = ("val", "valid", "validation", "dev")
"""What may follow x_ and y_ in the names of the validation arrays."""

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
    """An .npz file with the four arrays, and validation arrays if there are any.

    Attributes:
        path: absolute path of the file.
        layout: layout of x; None to recognise it.
    """

    path: Path
    layout: Layout | None = None

    def cache_key(self) -> str:
        """Return the file's path, size and modification time, and the layout if it is given.

        Raises:
            RequestError: the file cannot be read.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}.") from None
        layout = "" if self.layout is None else f" {self.layout}"
        return f"{self.path.resolve()} {status.st_size} {status.st_mtime_ns}{layout}"

    def count_training_examples(self) -> int:
        """Return the length of x_train, read from its header.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        shape, _ = read_x_train_header(self.path)
        return shape[0] if shape else 0

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one input, or None if the header of x_train does not tell.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        return predict_input_shape(*read_x_train_header(self.path), self.layout)

    def find_validation_set(self) -> str | None:
        """Return the names of the validation arrays, such as "x_val and y_val", or None.

        Raises:
            RequestError: the file is not an .npz file, or holds one of a pair, or several pairs.
        """
        part = find_validation_part(list_arrays(self.path), self.path)
        return None if part is None else f"x_{part} and y_{part}"

    def list_unused(self) -> tuple[str, ...]:
        """Return the names of all other arrays in the file."""
        names = list_arrays(self.path)
        part = find_validation_part(names, self.path)
        used = {*ARRAY_NAMES, *(() if part is None else (f"x_{part}", f"y_{part}"))}
        return tuple(name for name in names if name not in used)

    def load(self) -> SourceArrays:
        """Read the file.

        Raises:
            RequestError: the file or one of its arrays is not what it should be.
        """
        return read_npz_file(self.path, find_validation_part(list_arrays(self.path), self.path))


def locate_npz_file(name: str, data_dir: Path, base: Path, layout: Layout | None) -> NpzSource:
    """Return the source for `npz:PATH`.

    Args:
        name: the name under [data], such as "npz:arrays.npz".
        data_dir: not used.
        base: the folder that a relative path starts from.
        layout: layout of x; None to recognise it.

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
    return NpzSource(f"{NPZ_PREFIX}{path.name}", path, layout)


def list_arrays(path: Path) -> list[str]:
    """Return the names of the arrays in a file; reads none of them.

    Raises:
        RequestError: the file is not an .npz file.
    """
    with _open_archive(path) as archive:
        members = archive.namelist()
    return [name.removesuffix(".npy") for name in members if name.endswith(".npy")]


def find_validation_part(names: Sequence[str], path: Path) -> str | None:
    """Return what follows x_ and y_ in the names of the validation arrays, such as "val".

    Args:
        names: the names of all arrays.
        path: the file, for the message.

    Returns:
        One of `VALIDATION_PARTS`; None if the file has no validation arrays.

    Raises:
        RequestError: one of a pair is missing, or there are several pairs.
    """
    present = {
        part: [name for name in (f"x_{part}", f"y_{part}") if name in names]
        for part in VALIDATION_PARTS
    }
    found = [part for part, pair in present.items() if pair]
    if len(found) > 1:
        arrays = ", ".join(name for part in found for name in present[part])
        raise RequestError(
            f"{path} must hold one validation set at most; it holds {arrays}: keep one pair."
        )
    for part in found:
        if len(present[part]) == 1:
            missing = f"y_{part}" if present[part] == [f"x_{part}"] else f"x_{part}"
            raise RequestError(
                f"{path} must hold both arrays of a validation set: {missing} is missing beside "
                f"{present[part][0]}; add it, or remove {present[part][0]}."
            )
    return found[0] if found else None


def read_npz_file(path: Path, validation_part: str | None = None) -> SourceArrays:
    """Read the arrays of a data set; y of shape (n, 1) becomes (n,).

    Args:
        path: the file.
        validation_part: what follows x_ and y_ in the names of the validation arrays; None to read
            the four others only.

    Raises:
        RequestError: the file or one of its arrays is not what it should be.
    """
    names = dict(zip(ARRAY_NAMES, ARRAY_NAMES, strict=True))
    if validation_part is not None:
        names |= {name: f"{name[0]}_{validation_part}" for name in VALIDATION_NAMES}
    with _open_archive(path) as archive:
        arrays = {name: _read_array(archive, member, path) for name, member in names.items()}
    # `keras.datasets` has the labels of CIFAR-10 in a column.
    for name, array in arrays.items():
        if name.startswith("y_") and array.ndim == 2 and array.shape[1] == 1:
            arrays[name] = array[:, 0]
    return SourceArrays(**arrays, validation_part=validation_part or "validation")


def read_x_train_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of x_train, read from its header alone.

    Raises:
        RequestError: the file is not an .npz file, or has no such array.
    """
    with _open_archive(path) as archive, _open_member(archive, "x_train", path) as (stream, _):
        shape, dtype, _ = _read_header(stream, "x_train", path)
    return shape, dtype


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
