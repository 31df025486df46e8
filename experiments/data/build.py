"""From a source's arrays to a folder of split arrays that can be mapped into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from assay.experiments.data.archive import ArchiveSource
from assay.experiments.data.arrays import Array, SourceArrays, check_arrays
from assay.experiments.data.fetch import fetch
from assay.experiments.data.known import KnownSet
from assay.experiments.data.prepared_folder import (
    Meta,
    digest_file,
    find_damage,
    folder_for,
    locked,
    read_meta,
    write_meta,
    writing,
)
from assay.experiments.data.registry import locate
from assay.experiments.data.scaling import fit_scales
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.source import Source
from assay.experiments.data.split import kept_images, split, subset, validation_images
from assay.experiments.data.targets import read_targets
from assay.models.errors import RequestError
from assay.models.tasks import Task

# What the arrays hash to, and whether that is what was published.


def digest_arrays(arrays: SourceArrays) -> tuple[str, dict[str, str]]:
    """Hash the source's arrays, little-endian and in C order.

    Returns:
        One SHA-256 over the names, types, shapes and bytes of all four, and by name that of each
        array's bytes alone.
    """
    whole = hashlib.sha256()
    each = {}
    for name, array in arrays.items():
        ordered = np.ascontiguousarray(
            array, dtype=array.dtype.newbyteorder("<")
        )  # no copy where it is so already
        data = ordered.reshape(-1).view(np.uint8).data
        whole.update(f"{name} {ordered.dtype.str} {ordered.shape} ".encode())
        whole.update(data)
        each[name] = hashlib.sha256(data).hexdigest()
    return whole.hexdigest(), each


def why_unverified(digests: Mapping[str, str], name: str, known: KnownSet) -> str | None:
    """Say why the arrays are not known to be the published ones; None if they are.

    Args:
        digests: SHA-256 of each array's bytes.
        name: of the data set.
        known: what was published about it.
    """
    notes = [known.altered[digest] for digest in digests.values() if digest in known.altered]
    differing = [array for array, digest in known.published.items() if digests[array] != digest]
    if differing:
        notes.append(f"{', '.join(differing)} differ from the published {name}")
    unrecorded = [
        array
        for array in digests
        if array not in known.published and digests[array] not in known.altered
    ]
    if unrecorded:
        notes.append(
            f"no digest of {name}'s original {', '.join(unrecorded)} is on record to compare with"
        )
    return "; ".join(notes) if notes else None


def ensure(
    settings: DataSettings, home: Path, data_dir: Path, base: Path, task: Task = "classification"
) -> Path:
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
    reason = (
        source.unverified
        if source.known is None
        else why_unverified(array_digests, source.name, source.known)
    )
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
    """Return images of bytes as they are and other numbers as float32; images with a channel
    axis.
    """
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
