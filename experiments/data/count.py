"""How many images an experiment trains on, known before anything is prepared."""

from __future__ import annotations

from pathlib import Path

from experiments.data.archive import count_training_images
from experiments.data.settings import DataSettings
from experiments.data.source import locate
from experiments.data.split import validation_images


def training_images(settings: DataSettings, data_dir: Path, base: Path | None = None) -> int:
    """Return how many images are left to train on when validation is split off; reads a file's header at most.

    Args:
        settings: the [data] table.
        data_dir: where known sets are kept; of one that is not there, the published size counts.
        base: what a relative PATH of `npz:PATH` is relative to; None: the current folder.

    Raises:
        RequestError: the user's own file cannot be read, or validation would leave none.
    """
    source = locate(settings, data_dir, Path.cwd() if base is None else base)
    if source.archive is not None and source.archive.exists():
        images = count_training_images(source.archive)
    else:
        assert source.known is not None, "a file of the user's own is there, or locate raises"
        images = source.known.train_images
    return images - validation_images(settings.validation, images)
