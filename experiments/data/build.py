"""From a source's arrays to a folder of split arrays that can be mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.data.archive_source import ArchiveSource
from experiments.data.arrays import Array, check_arrays
from experiments.data.digests import digest_arrays, why_unverified
from experiments.data.fetch import fetch
from experiments.data.folder import Meta, digest_file, find_damage, folder_for, read_meta, write_meta
from experiments.data.locate import locate
from experiments.data.publish import locked, writing
from experiments.data.scaling import fit_scales
from experiments.data.settings import DataSettings
from experiments.data.source import Source
from experiments.data.split import kept_images, split, subset, validation_images
from experiments.data.targets import read_targets
from models.errors import RequestError
from models.tasks import Task


def ensure(settings: DataSettings, home: Path, data_dir: Path, base: Path, task: Task = "classification") -> Path:
    """Return the data set's folder, fetching and building what is not there.

    Raises:
        RequestError: whatever the user must mend.
    """
    source = locate(settings, data_dir, base)
    if isinstance(source, ArchiveSource) and source.known is not None and not source.is_there:
        fetch(source.name, source.known, source.path)
    folder = folder_for(home, source, settings, task)
    with locked(folder):
        if not _is_whole(folder):
            with writing(folder) as partial:
                _build(source, settings, task, partial)
                if folder_for(home, source, settings, task) != folder:
                    raise RequestError(f"{source.name} changed while it was read: try again.")
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        meta = read_meta(folder)
        return meta is not None and find_damage(folder, meta) is None
    except ValueError:
        return False  # whoever asked has seen it too, and says so


def _build(source: Source, settings: DataSettings, task: Task, folder: Path) -> None:
    arrays = source.load()
    check_arrays(arrays, source.name, task)
    targets = read_targets(arrays, task, source)
    validation = validation_images(settings.validation, len(targets.train))
    available, validating = split(targets, validation, settings.split_seed)
    training = subset(available, kept_images(settings.train_images, len(available)), targets)
    x = _stored(arrays.x_train)
    x_train = x[training]
    digest, array_digests = digest_arrays(arrays)
    reason = source.unverified if source.known is None else why_unverified(array_digests, source.name, source.known)
    written = {
        "x_train.npy": x_train,
        "y_train.npy": targets.train[training],
        "x_validation.npy": x[validating],
        "y_validation.npy": targets.train[validating],
        "test/x.npy": _stored(arrays.x_test),
        "test/y.npy": targets.test,
    }
    meta = Meta(
        name=source.name,
        task=task,
        digest=digest,
        array_digests=array_digests,
        verified=reason is None,
        unverified_reason=reason,
        input_shape=x.shape[1:],
        outputs=targets.outputs,
        classes=targets.classes,
        train_images=len(training),
        train_images_available=len(available),
        validation_images=len(validating),
        test_images=len(targets.test),
        scales=fit_scales(x_train, _largest_value(source, x)),
        validation=validation,
        split_seed=settings.split_seed,
        files={name: _write(folder / name, array) for name, array in written.items()},
        file_digests={name: digest_file(folder / name) for name in written},
    )
    write_meta(folder, meta)


def _stored(x: Array) -> Array:
    """Return images of bytes as they are and other numbers as float32; images with a channel axis."""
    kept = x if x.dtype == np.uint8 and x.ndim > 2 else x.astype(np.float32)
    return kept[..., np.newaxis] if kept.ndim == 3 else kept


def _largest_value(source: Source, x: Array) -> int | None:
    """Return what a pixel can be at most; None where only the split can tell."""
    if x.dtype != np.uint8:
        return None
    return source.known.largest_value if source.known is not None else int(np.iinfo(np.uint8).max)


def _write(path: Path, array: Array) -> int:
    """Write one array, in C order; returns the file's size in bytes."""
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    return path.stat().st_size
