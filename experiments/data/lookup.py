"""What is known of a data set before it is prepared. No array is read."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.data.registry import get_source_entry
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.sources.base import Source
from assay.experiments.data.split import check_own_validation, count_training, count_validation
from assay.models.errors import RequestError
from assay.models.tasks import Task


def locate_source(settings: DataSettings, data_dir: Path, base: Path) -> Source:
    """Return the source of a data set.

    Args:
        settings: the [data] table.
        data_dir: the folder where published data sets are kept as <name>.npz.
        base: the folder that a relative PATH starts from: that of the experiment's file.

    Raises:
        RequestError: the user's own file or folder does not exist.

    Example:
        >>> locate_source(DataSettings(name="xor"), Path(), Path()).count_training_examples()
        1000
    """
    entry = get_source_entry(settings.name)
    return entry.locate(
        name=settings.name, data_dir=data_dir, base=base, **settings.source_options()
    )


def check_task(settings: DataSettings, task: Task) -> None:
    """Check that a data set has the targets that a task needs.

    Raises:
        RequestError: the data set is for the other task.
    """
    suited = get_source_entry(settings.name).task
    if suited is None or suited == task:  # None: only the arrays tell
        return
    targets = "classes" if suited == "classification" else "numbers to predict"
    raise RequestError(
        f"{settings.name} has {targets}: task must be '{suited}'; received '{task}'."
    )


def read_input_shape(settings: DataSettings, data_dir: Path, base: Path) -> tuple[int, ...] | None:
    """Return the shape of one input; reads a header at most.

    Args:
        settings: the [data] table.
        data_dir: the folder where published data sets are kept as <name>.npz.
        base: the folder that a relative PATH starts from.

    Returns:
        (height, width, channels), (features,), (steps, features), or None if only loading the data
        would tell.

    Raises:
        RequestError: the user's own data cannot be read.
    """
    return locate_source(settings, data_dir, base).input_shape()


def count_training_images(settings: DataSettings, data_dir: Path, base: Path | None = None) -> int:
    """Return the number of training examples, without those that are split off to validate.

    Args:
        settings: the [data] table.
        data_dir: the folder where published data sets are kept; before a download, the published
            size counts.
        base: the folder that a relative PATH starts from; None for the current folder.

    Raises:
        RequestError: the user's own data cannot be read, or it has fewer examples than [data] asks
            for.
    """
    source = locate_source(settings, data_dir, Path.cwd() if base is None else base)
    available = source.count_training_examples()
    if (own := source.find_validation_set()) is not None:
        check_own_validation(settings.validation, own)
    else:
        available -= count_validation(settings.validation, available)
    return count_training(settings.train_images, available)
