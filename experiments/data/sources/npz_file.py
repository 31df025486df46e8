"""`npz:PATH`: your own arrays in one .npz file; also the reader of published .npz files.

An array is read only if its size is the one that its header claims, and to its end, where `zipfile`
compares the checksum. `numpy.load` would allocate whatever a header claims. The sizes of all arrays
are compared with the memory before the first is read. Nothing is unpickled.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay.experiments.data.array_header import read_array_header
from assay.experiments.data.arrays import ARRAY_NAMES, VALIDATION_NAMES, SourceArrays
from assay.experiments.data.capacity import ArraySize, CapacityCheck, accept_any_size
from assay.experiments.data.layout import Layout, predict_input_shape
from assay.experiments.data.sources.base import Source, resolve_path
from assay.models.errors import RequestError
from assay.models.files import open_user_file

NPZ_PREFIX = "npz:"
"""Prefix of a data set's name that is followed by the path of an .npz file."""

VALIDATION_PARTS = ("val", "valid", "validation", "dev")
"""What may follow x_ and y_ in the names of the validation arrays."""

MOST_ENTRIES = 1_000
"""Most arrays and other files in an .npz file."""

_MOST_DIRECTORY_BYTES = 1_000_000  # `zipfile` takes some 500 bytes of memory for each entry's 50
_MOST_SHAPE_TEXT = 80
_MOST_NAMED = 10
_MOST_REASON_TEXT = 200

_CORRUPT_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
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
        shape = read_x_train_header(self.path).shape
        return shape[0] if shape else 0

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one input, or None if the header of x_train does not tell.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        header = read_x_train_header(self.path)
        return predict_input_shape(header.shape, header.dtype, self.layout)

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

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Read the file; see `Source.load`.

        Raises:
            RequestError: the file or one of its arrays is not what it should be.
        """
        part = find_validation_part(list_arrays(self.path), self.path)
        return read_npz_file(self.path, part, check_capacity)


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


def read_npz_file(
    path: Path,
    validation_part: str | None = None,
    check_capacity: CapacityCheck = accept_any_size,
) -> SourceArrays:
    """Read the arrays of a data set; y of shape (n, 1) becomes (n,).

    Args:
        path: the file.
        validation_part: what follows x_ and y_ in the names of the validation arrays; None to read
            the four others only.
        check_capacity: called with the sizes of the arrays before any is read.

    Raises:
        RequestError: the file or one of its arrays is not what it should be.
    """
    names = dict(zip(ARRAY_NAMES, ARRAY_NAMES, strict=True))
    if validation_part is not None:
        names |= {name: f"{name[0]}_{validation_part}" for name in VALIDATION_NAMES}
    with _open_archive(path) as archive:
        check_capacity(
            {name: _read_header(archive, member, path) for name, member in names.items()}
        )
        arrays = {name: _read_array(archive, member) for name, member in names.items()}
    # `keras.datasets` has the labels of CIFAR-10 in a column.
    for name, array in arrays.items():
        if name.startswith("y_") and array.ndim == 2 and array.shape[1] == 1:
            arrays[name] = array[:, 0]
    return SourceArrays(**arrays, validation_part=validation_part or "validation")


def read_x_train_header(path: Path) -> ArraySize:
    """Return the shape and the type of x_train, read from its header alone.

    Raises:
        RequestError: the file is not an .npz file, or has no such array.
    """
    with _open_archive(path) as archive:
        return _read_header(archive, "x_train", path)


class _ArchiveFile(io.BufferedReader):
    """A zip file that is being opened, whose directory must not be large."""

    most_bytes: int | None = _MOST_DIRECTORY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        # `zipfile` reads the directory, and nothing else, in one piece.
        if self.most_bytes is not None and size is not None and size > self.most_bytes:
            raise _too_many_entries(self.name, f"a directory of {size:,} bytes")
        return super().read(size)


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with (
            open_user_file(path) as opened,
            _ArchiveFile(opened.raw) as file,  # type: ignore[attr-defined]
            zipfile.ZipFile(file) as archive,
        ):
            file.most_bytes = None
            if (entries := len(archive.infolist())) > MOST_ENTRIES:
                raise _too_many_entries(path, f"{entries:,}")
            yield archive
    except RequestError:
        raise
    except MemoryError:
        raise RequestError(f"{path} does not fit into this machine's memory.") from None
    except _CORRUPT_ARCHIVE as error:
        # NumPy's messages may quote a whole header.
        reason = " ".join(str(error).split())[:_MOST_REASON_TEXT]
        raise RequestError(
            f"{path} is not an .npz file, or is damaged: {reason}. Create or download it again."
        ) from None


def _too_many_entries(path: object, received: str) -> RequestError:
    return RequestError(
        f"{path} must hold at most {MOST_ENTRIES:,} arrays; received {received}: keep "
        f"{', '.join(ARRAY_NAMES)}, and x_val and y_val if there are any."
    )


def _find_member(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    members = archive.namelist()
    if f"{name}.npy" not in members:
        present = [member.removesuffix(".npy") for member in members]
        listed = ", ".join(present[:_MOST_NAMED]) or "nothing"
        others = len(present) - _MOST_NAMED
        raise RequestError(
            f"{path} must hold {', '.join(ARRAY_NAMES)}: {name} is missing; it holds {listed}"
            f"{f' and {others:,} more' if others > 0 else ''}."
        )
    return archive.getinfo(f"{name}.npy")


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    """Read an array whose header `_read_header` has checked."""
    with archive.open(f"{name}.npy") as stream:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _read_header(archive: zipfile.ZipFile, name: str, path: Path) -> ArraySize:
    """Return an array's shape and type, if the size of the entry is what they claim.

    Raises:
        RequestError: the entry is missing, has another size, or holds something else.
    """
    member = _find_member(archive, name, path)
    with archive.open(member) as stream:
        try:
            size, header_bytes = read_array_header(stream)
        except ValueError as error:
            raise RequestError(
                f"{path}: {name} can't be read: {error}. Create or download it again."
            ) from None
    shape, dtype = size.shape, size.dtype
    if dtype.hasobject:
        raise RequestError(
            f"{path}: {name} holds pickled Python objects, which are never read: "
            "save plain numbers."
        )
    is_possible = all(type(length) is int and length >= 0 for length in shape)
    # Compared before reading, because NumPy allocates the memory that a header claims.
    if not is_possible or dtype.itemsize == 0 or member.file_size != header_bytes + size.bytes:
        raise RequestError(
            f"{path}: {name} is damaged: {member.file_size:,} bytes cannot be "
            f"{_format_shape(shape)} of {dtype}. Create or download it again."
        )
    return size


def _format_shape(shape: Sequence[int]) -> str:
    # A header has room for a thousand axes.
    text = str(tuple(shape))
    return text if len(text) <= _MOST_SHAPE_TEXT else f"{text[:_MOST_SHAPE_TEXT]}..."
