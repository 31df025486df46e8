"""From a source's arrays to a prepared folder; runs in the process that prepares data."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays, check_arrays
from assay.experiments.data.lookup import locate_source
from assay.experiments.data.prepared_folder import (
    PreparedMeta,
    digest_file,
    find_damage,
    lock_prepared_folder,
    prepared_folder_path,
    read_prepared_meta,
    replace_prepared_folder,
    write_prepared_meta,
)
from assay.experiments.data.scaling import fit_scales
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.sources.base import Source
from assay.experiments.data.split import (
    count_training,
    count_validation,
    select_subset,
    split_indices,
)
from assay.experiments.data.targets import read_targets
from assay.models.errors import RequestError
from assay.models.tasks import Task


def ensure_prepared(
    settings: DataSettings, home: Path, data_dir: Path, base: Path, task: Task = "classification"
) -> Path:
    """Return a data set's prepared folder; download and write what is missing or damaged.

    Args:
        settings: the [data] table.
        home: the folder of everything that running produces.
        data_dir: the folder where published data sets are kept as <name>.npz.
        base: the folder that a relative PATH starts from.
        task: the task that the data is for.

    Raises:
        RequestError: the request or the data must be changed by the user.
        SearchError: home cannot be written.
    """
    source = locate_source(settings, data_dir, base)
    if not source.is_available:
        source.download()
    folder = prepared_folder_path(home, source, settings, task)
    with lock_prepared_folder(folder):
        if not _is_complete(folder):
            with replace_prepared_folder(folder) as partial:
                _write_prepared(source, settings, task, partial)
                # Another path now means that the arrays belong to no single state of the source.
                if prepared_folder_path(home, source, settings, task) != folder:
                    raise RequestError(f"{source.name} changed while it was read: try again.")
    return folder


def _is_complete(folder: Path) -> bool:
    try:
        meta = read_prepared_meta(folder)
        return meta is not None and find_damage(folder, meta) is None
    except ValueError:
        return False  # the parent process has seen the same damage, and warns of it


def _write_prepared(source: Source, settings: DataSettings, task: Task, folder: Path) -> None:
    arrays = source.load()
    check_arrays(arrays, source.name, task)
    targets = read_targets(arrays, task, source)
    validation = count_validation(settings.validation, len(targets.train))
    available, validating = split_indices(targets, validation, settings.split_seed)
    training = select_subset(
        available, count_training(settings.train_images, len(available)), targets
    )
    x = _to_stored(arrays.x_train)
    x_train = x[training]
    # Of the source's arrays: the digest is the same for any split, and for published copies.
    digest, array_digests = digest_arrays(arrays)
    unverified_reason = source.explain_unverified(array_digests)
    stored_arrays = {
        "x_train.npy": x_train,
        "y_train.npy": targets.train[training],
        "x_validation.npy": x[validating],
        "y_validation.npy": targets.train[validating],
        # In a folder apart: nothing that trains or selects models opens it.
        "test/x.npy": _to_stored(arrays.x_test),
        "test/y.npy": targets.test,
    }
    meta = PreparedMeta(
        name=source.name,
        task=task,
        digest=digest,
        array_digests=array_digests,
        verified=unverified_reason is None,
        unverified_reason=unverified_reason,
        input_shape=x.shape[1:],
        outputs=targets.outputs,
        classes=targets.classes,
        train_images=len(training),
        train_images_available=len(available),
        validation_images=len(validating),
        test_images=len(targets.test),
        # Images of bytes have a known range; that of other numbers is taken from the examples.
        scales=fit_scales(x_train, source.largest_pixel if x.dtype == np.uint8 else None),
        validation=validation,
        split_seed=settings.split_seed,
        files={name: _write_array(folder / name, array) for name, array in stored_arrays.items()},
        file_digests={name: digest_file(folder / name) for name in stored_arrays},
    )
    write_prepared_meta(folder, meta)


def digest_arrays(arrays: SourceArrays) -> tuple[str, dict[str, str]]:
    """Hash a source's arrays as little-endian numbers in C order.

    Returns:
        A SHA-256 over the names, types, shapes and bytes of all four arrays, and the SHA-256 of
        each array's bytes alone, by its name.
    """
    all_arrays = hashlib.sha256()
    array_digests = {}
    for name, array in arrays.items():
        # Copies only if the array has another byte order or layout.
        ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        data = ordered.reshape(-1).view(np.uint8).data
        all_arrays.update(f"{name} {ordered.dtype.str} {ordered.shape} ".encode())
        all_arrays.update(data)
        array_digests[name] = hashlib.sha256(data).hexdigest()
    return all_arrays.hexdigest(), array_digests


def _to_stored(x: Array) -> Array:
    """Return uint8 images unchanged, other numbers as float32; images with a channel axis."""
    # Bytes take a quarter of float32's memory; they are scaled when they are used.
    stored = x if x.dtype == np.uint8 and x.ndim > 2 else x.astype(np.float32)
    return stored[..., np.newaxis] if stored.ndim == 3 else stored


def _write_array(path: Path, array: Array) -> int:
    """Write an array in C order; return the file's size in bytes."""
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    return path.stat().st_size
