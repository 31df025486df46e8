"""Where the arrays of a data set come from, and how to tell that they are still the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from experiments.data.known import KNOWN, KnownSet
from experiments.data.settings import ARCHIVE_PREFIX, DataSettings
from models.errors import RequestError


@dataclass(frozen=True)
class Source:
    """The place of four arrays.

    Attributes:
        name: the known set's; for the user's own "npz:" and the file's name without its folders, which may name a user.
        archive: the .npz file, which for a known set need not be there yet; None for the one that scikit-learn brings.
        known: what was published about it, if anything.
    """

    name: str
    archive: Path | None
    known: KnownSet | None

    def identity(self) -> str:
        """Say in one text what changes when the arrays may have changed, without reading them.

        Raises:
            RequestError: the file cannot be looked at.
        """
        if self.archive is None:
            return f"scikit-learn {version('scikit-learn')}"
        try:
            found = self.archive.stat()
        except OSError as error:
            raise RequestError(f"{self.archive} cannot be read: {error.strerror}.") from None
        return f"{self.archive.resolve()} {found.st_size} {found.st_mtime_ns}"


def default_data_dir() -> Path:
    """Return the folder where Keras keeps its data sets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def locate(settings: DataSettings, data_dir: Path, base: Path) -> Source:
    """Say where the arrays are or will be.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept as `<name>.npz`.
        base: what a relative PATH of `npz:PATH` is relative to: the folder of the experiment's file.

    Raises:
        RequestError: the user's own file is not there.
    """
    if settings.name == "digits":
        return Source("digits", archive=None, known=KNOWN["digits"])
    if not settings.name.startswith(ARCHIVE_PREFIX):
        return Source(settings.name, (data_dir / f"{settings.name}.npz").absolute(), KNOWN[settings.name])
    path = (base / Path(settings.name.removeprefix(ARCHIVE_PREFIX)).expanduser()).absolute()
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not there"
        raise RequestError(
            f"{ARCHIVE_PREFIX}PATH must be a file with the arrays x_train, y_train, x_test, y_test: {path} {problem}."
        )
    return Source(f"{ARCHIVE_PREFIX}{path.name}", path, known=None)
