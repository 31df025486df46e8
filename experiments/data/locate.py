"""From the [data] table to the place of the arrays."""

from __future__ import annotations

from pathlib import Path

from experiments.data.archive_source import ARCHIVE_PREFIX, ArchiveSource, own_archive
from experiments.data.digits import DigitsSource
from experiments.data.folder_source import FOLDER_PREFIX, own_folder
from experiments.data.generated import DEFAULT_SAMPLES, DEFAULT_SEED, GENERATED, GeneratedSource
from experiments.data.settings import DataSettings
from experiments.data.source import Source


def locate(settings: DataSettings, data_dir: Path, base: Path) -> Source:
    """Say where the arrays are or will be.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept as `<name>.npz`.
        base: what a relative PATH of the user's own is relative to: the folder of the experiment's file.

    Raises:
        RequestError: the user's own file or folder is not there.
    """
    name = settings.name
    if name == "digits":
        return DigitsSource()
    if name in GENERATED:
        return GeneratedSource(
            name,
            samples=DEFAULT_SAMPLES if settings.samples is None else settings.samples,
            noise=settings.noise,
            seed=DEFAULT_SEED if settings.seed is None else settings.seed,
        )
    if name.startswith(ARCHIVE_PREFIX):
        return own_archive(_path(name.removeprefix(ARCHIVE_PREFIX), base))
    if name.startswith(FOLDER_PREFIX):
        return own_folder(_path(name.removeprefix(FOLDER_PREFIX), base), settings.size)
    return ArchiveSource(name, (data_dir / f"{name}.npz").absolute())


def _path(text: str, base: Path) -> Path:
    return (base / Path(text).expanduser()).absolute()
