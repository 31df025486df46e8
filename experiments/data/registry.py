"""From the [data] table to the place of the arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

from assay.experiments.data.archive import ARCHIVE_PREFIX, ArchiveSource, own_archive
from assay.experiments.data.digits import DigitsSource
from assay.experiments.data.generated import (
    DEFAULT_SAMPLES,
    DEFAULT_SEED,
    GENERATED,
    GeneratedSource,
)
from assay.experiments.data.image_folder import FOLDER_PREFIX, own_folder
from assay.experiments.data.known import KNOWN
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.source import Source
from assay.experiments.data.split import kept_images, validation_images
from assay.models.errors import RequestError
from assay.models.tasks import Task


def locate(settings: DataSettings, data_dir: Path, base: Path) -> Source:
    """Say where the arrays are or will be.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept as `<name>.npz`.
        base: what a relative PATH of the user's own is relative to: the folder of the experiment's
            file.

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


# Every data set that an experiment can name, with a line of what it is.


OWN_SUMMARIES = {
    "npz:PATH": "your own arrays x_train, y_train, x_test, y_test in one file; for regression too",
    "folder:PATH": "your own images in train/<class>/ and test/<class>/; size = [h, w] resizes",
}


def summaries() -> dict[str, str]:
    """Return a line for each name, in the order to list them."""
    return {
        **{name: known.summary for name, known in KNOWN.items()},
        **{name: drawn.summary for name, drawn in GENERATED.items()},
        **OWN_SUMMARIES,
    }


# Which data sets suit which task.


def check_task(settings: DataSettings, task: Task) -> None:
    """See that a data set has what the task needs: classes, or numbers. Of the user's own arrays
    only they can tell.

    Raises:
        RequestError: it has the other.
    """
    name = settings.name
    if name.startswith(ARCHIVE_PREFIX):
        return
    suited = GENERATED[name].task if name in GENERATED else "classification"
    if task != suited:
        has = {"classification": "has classes", "regression": "has numbers to predict"}[suited]
        raise RequestError(f"{name} {has}: task must be '{suited}'; received '{task}'.")


# How many images an experiment trains on, known before anything is prepared.


def training_images(settings: DataSettings, data_dir: Path, base: Path | None = None) -> int:
    """Return how many images are trained on: what validation leaves, or the subset of it; reads no
    array.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept; of one that is not there, the published size counts.
        base: what a relative PATH of the user's own is relative to; None: the current folder.

    Raises:
        RequestError: the user's own data cannot be read, or there are fewer than asked for.
    """
    images = locate(settings, data_dir, Path.cwd() if base is None else base).count()
    return kept_images(
        settings.train_images, images - validation_images(settings.validation, images)
    )


# What one input of a data set looks like, as far as that can be told without reading its arrays.


_ARCHIVE_PREFIX = "npz:"


def input_shape(settings: DataSettings, base: Path) -> tuple[int, ...] | None:
    """Return the shape of one input, (height, width, channels) or (features,); None where only
    making it would tell.

    Args:
        settings: the [data] table; a file that it names can be read.
        base: what a relative path is relative to.
    """
    if settings.name in KNOWN:
        return KNOWN[settings.name].shape
    if settings.name in GENERATED:
        return (1,) if GENERATED[settings.name].task == "regression" else (2,)
    if not settings.name.startswith(_ARCHIVE_PREFIX):
        return None
    shape = _array_shape(base / Path(settings.name.removeprefix(_ARCHIVE_PREFIX)).expanduser())
    return (
        (*shape[1:], 1) if len(shape) == 3 else shape[1:]
    )  # grey images may come without their channel


def _array_shape(archive: Path) -> tuple[int, ...]:
    import numpy as np  # here, because known sets need none of it

    with zipfile.ZipFile(archive) as content, content.open("x_train.npy") as stream:
        old = np.lib.format.read_magic(stream) == (1, 0)
        shape: tuple[int, ...] = (
            np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        )(stream)[0]
    return shape
