"""How many images an experiment trains on, known before anything is prepared."""

from __future__ import annotations

from pathlib import Path

from experiments.data.locate import locate
from experiments.data.settings import DataSettings
from experiments.data.split import kept_images, validation_images


def training_images(settings: DataSettings, data_dir: Path, base: Path | None = None) -> int:
    """Return how many images are trained on: what validation leaves, or the subset of it; reads no array.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept; of one that is not there, the published size counts.
        base: what a relative PATH of the user's own is relative to; None: the current folder.

    Raises:
        RequestError: the user's own data cannot be read, or there are fewer than asked for.
    """
    images = locate(settings, data_dir, Path.cwd() if base is None else base).count()
    return kept_images(settings.train_images, images - validation_images(settings.validation, images))
