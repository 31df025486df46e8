"""Data sets in one .npz file: the known ones, and `npz:PATH`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.data.archive import count_training_images, read_archive
from experiments.data.arrays import ARRAY_NAMES, SourceArrays
from experiments.data.known import KNOWN, KnownSet
from experiments.data.source import Source
from models.errors import RequestError

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

    def identity(self) -> str:
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
        """Return how many examples x_train has, from its header; of a known set that is not there, the published size.

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
