"""From a source's arrays to a prepared folder; runs in the process that prepares data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays, check_arrays
from assay.experiments.data.capacity import check_capacity
from assay.experiments.data.centring import (
    Centre,
    Extremes,
    find_extremes,
    fit_centre,
    fit_target_offset,
    to_float32,
)
from assay.experiments.data.findings import (
    find_constant_inputs,
    find_constant_targets,
    find_missing_labels,
    find_numbers_as_labels,
    find_other_validation_range,
    find_rounded_inputs,
)
from assay.experiments.data.layout import Layout, resolve_layout, to_stored_layout
from assay.experiments.data.lookup import locate_source
from assay.experiments.data.prepared_folder import (
    UNIT_SCALE,
    PreparedMeta,
    digest_file,
    find_damage,
    lock_prepared_folder,
    prepared_folder_path,
    read_prepared_meta,
    replace_prepared_folder,
    write_prepared_meta,
)
from assay.experiments.data.scaling import (
    LARGEST_BYTE,
    choose_largest_pixel,
    find_scaled_ranges,
    fit_scales,
)
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.sources.base import Source
from assay.experiments.data.split import (
    check_own_validation,
    count_training,
    count_validation,
    select_subset,
    shuffle_indices,
    split_indices,
)
from assay.experiments.data.targets import Targets, read_targets
from assay.models.data import StoredScale
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
    arrays = source.load(
        lambda sizes: check_capacity(source.name, sizes, folder, settings.train_images)
    )
    check_arrays(arrays, source.name, task)
    targets = read_targets(arrays, task, source)
    split = _split(source, settings, arrays, targets)
    inputs = _store_inputs(source, arrays, split)
    is_regression = task == "regression"
    offset = fit_target_offset(targets.train, split.training) if is_regression else None
    y_train = _store_targets(targets.train, task, split.training, offset)
    own_y = targets.train if targets.validation is None else targets.validation
    y_validation = _store_targets(own_y, task, split.validating, offset)
    # Of the source's arrays: the digest is the same for any split, and for published copies.
    digest, array_digests = digest_arrays(arrays)
    unverified_reason = source.explain_unverified(array_digests)
    stored_arrays = {
        "x_train.npy": inputs.train,
        "y_train.npy": y_train,
        "x_validation.npy": inputs.validation,
        "y_validation.npy": y_validation,
        # In a folder apart: nothing that trains or selects models opens it.
        "test/x.npy": inputs.test,
        "test/y.npy": _store_targets(targets.test, task, None, offset),
    }
    meta = PreparedMeta(
        name=source.name,
        task=task,
        digest=digest,
        array_digests=array_digests,
        verified=unverified_reason is None,
        unverified_reason=unverified_reason,
        input_shape=inputs.train.shape[1:],
        outputs=targets.outputs,
        classes=targets.classes,
        train_images=len(split.training),
        train_images_available=split.available,
        validation_images=len(inputs.validation),
        test_images=len(targets.test),
        scales=inputs.scales,
        centre=None if inputs.centre is None else tuple(inputs.centre.values.tolist()),
        target_offset=None if offset is None else tuple(offset.tolist()),
        validation=len(inputs.validation),
        validation_source=split.source,
        split_seed=settings.split_seed,
        files={name: _write_array(folder / name, array) for name, array in stored_arrays.items()},
        file_digests={name: digest_file(folder / name) for name in stored_arrays},
        layout=inputs.layout,
        source_shape=arrays.x_train.shape[1:],
        input_type=arrays.x_train.dtype.name,
        input_range=inputs.extremes.range,
        scaled_ranges=find_scaled_ranges(inputs.train, inputs.scales),
        class_counts=() if is_regression else _count_classes(y_train, targets.outputs),
        validation_class_counts=()
        if is_regression
        else _count_classes(y_validation, targets.outputs),
        constant_errors=_find_constant_errors(y_train, y_validation) if is_regression else {},
        findings=_find_warnings(arrays, inputs, task),
        changed_numbers=_list_changes(source, arrays, inputs, offset),
    )
    write_prepared_meta(folder, meta)


@dataclass(frozen=True)
class _Split:
    """Which examples train and which validate.

    Attributes:
        training: indices of the training examples.
        validating: indices of the validation examples in the training set; None if the data have a
            validation set of their own, which is used whole.
        available: number of training examples without a subset.
        source: where the validation examples come from, for the user.
    """

    training: Array
    validating: Array | None
    available: int
    source: str


def _split(
    source: Source, settings: DataSettings, arrays: SourceArrays, targets: Targets
) -> _Split:
    validating: Array | None = None
    if arrays.x_validation is not None:
        origin = source.find_validation_set() or f"x_{arrays.validation_part}"
        check_own_validation(settings.validation, origin)
        available = shuffle_indices(len(targets.train), settings.split_seed)
    else:
        count = count_validation(settings.validation, len(targets.train))
        available, validating = split_indices(targets, count, settings.split_seed)
        how = "stratified" if targets.classes else "at random"
        origin = f"split off the training set, {how}, split_seed {settings.split_seed}"
    count = count_training(settings.train_images, len(available))
    training = select_subset(available, count, targets)
    return _Split(training, validating, len(available), origin)


@dataclass(frozen=True)
class _Inputs:
    """The inputs as they are stored, and what is known of them.

    Attributes:
        train: uint8 images as they were, or float32, (n, *input_shape).
        validation: likewise.
        test: likewise.
        layout: layout of the source's arrays; None for rows.
        extremes: of the training inputs in their source.
        centre: what was subtracted; None for nothing.
        scales: by name, fitted on the training inputs.
        largest_pixel: the largest possible value of images of bytes; None for other inputs.
    """

    train: Array
    validation: Array
    test: Array
    layout: Layout | None
    extremes: Extremes
    centre: Centre | None
    scales: dict[str, StoredScale]
    largest_pixel: int | None


def _store_inputs(source: Source, arrays: SourceArrays, split: _Split) -> _Inputs:
    layout = resolve_layout(
        arrays.x_train.shape,
        arrays.x_train.dtype,
        source.layout,
        source.name,
        has_negative=lambda: bool(arrays.x_train.min() < 0),
    )
    x_train = to_stored_layout(arrays.x_train, layout)
    x_validation = (
        x_train if arrays.x_validation is None else to_stored_layout(arrays.x_validation, layout)
    )
    x_test = to_stored_layout(arrays.x_test, layout)
    # Bytes take a quarter of float32's memory; they are scaled when they are used.
    keeps_bytes = x_train.ndim > 2 and x_train.dtype == x_validation.dtype == np.uint8
    centre = None
    if keeps_bytes:
        train = x_train[split.training]
        extremes = find_extremes(train)
    else:
        extremes = find_extremes(x_train, split.training)
        centre = fit_centre(x_train, split.training, extremes)
        train = to_float32(x_train, split.training, None if centre is None else centre.values)
    values = None if centre is None else centre.values

    def store(x: Array, indices: Array | None) -> Array:
        if keeps_bytes and x.dtype == np.uint8:
            return x if indices is None else x[indices]
        return to_float32(x, indices, values)

    largest_pixel = None
    # Images of bytes have a known range; that of other numbers is taken from the examples.
    if x_train.dtype == np.uint8 and x_train.ndim == 4:
        largest_pixel = source.largest_pixel or choose_largest_pixel(train)
    return _Inputs(
        train=train,
        validation=store(x_validation, split.validating),
        test=store(x_test, None),
        layout=layout,
        extremes=extremes,
        centre=centre,
        scales=fit_scales(train, largest_pixel, values),
        largest_pixel=largest_pixel,
    )


def _store_targets(y: Array, task: Task, indices: Array | None, offset: Array | None) -> Array:
    """Return labels, or float32 rows without their offset; all of them if indices is None."""
    if task == "regression":
        return to_float32(y, indices, offset)
    return y if indices is None else y[indices]


def _count_classes(labels: Array, classes: int) -> tuple[int, ...]:
    counts: list[int] = np.bincount(labels, minlength=classes).tolist()
    return tuple(counts)


def _find_constant_errors(train: Array, validation: Array) -> dict[str, float]:
    """Return the validation errors of predicting a constant for each output.

    Args:
        train: training targets (n, outputs).
        validation: validation targets (n, outputs).
    """
    # In float64: a mean of many float32 numbers is rounded to theirs.
    known, unknown = train.astype(np.float64), validation.astype(np.float64)
    return {
        "mae": float(np.abs(unknown - np.median(known, axis=0)).mean()),
        "mse": float(np.square(unknown - known.mean(axis=0)).mean()),
    }


def _find_warnings(arrays: SourceArrays, inputs: _Inputs, task: Task) -> dict[str, tuple[str, ...]]:
    """Return the warnings about the numbers, by scale."""
    general = [*find_constant_inputs(inputs.extremes)]
    if task == "classification":
        general += [*find_numbers_as_labels(arrays), *find_missing_labels(arrays)]
    else:
        general += find_constant_targets(arrays)
    if arrays.x_validation is not None:
        unit = inputs.scales["unit"]
        general += find_other_validation_range(inputs.train, inputs.validation, unit, arrays)
    rounded = find_rounded_inputs(inputs.centre, inputs.extremes, inputs.train.shape[1:])
    of_scale = {"none": tuple(rounded)}
    return {scale: (*general, *of_scale.get(scale, ())) for scale in inputs.scales}


def _list_changes(
    source: Source, arrays: SourceArrays, inputs: _Inputs, target_offset: Array | None
) -> dict[str, str]:
    """Return what training sees otherwise than in release 0.1.0; see `find_changed_numbers`."""
    changes = {}
    if inputs.centre is not None:
        changes["inputs"] = "centred before the cast to float32"
    if target_offset is not None:
        changes["targets"] = "centred before the cast to float32"
    if arrays.x_validation is not None:
        changes["validation"] = f"{source.find_validation_set() or arrays.validation_part}"
    if inputs.layout in ("channels_first", "sequence"):
        changes["layout"] = inputs.layout
    if source.largest_pixel is None and inputs.largest_pixel not in (None, LARGEST_BYTE):
        changes[UNIT_SCALE] = f"uint8 images divided by {inputs.largest_pixel} in place of 255"
    return changes


def digest_arrays(arrays: SourceArrays) -> tuple[str, dict[str, str]]:
    """Hash a source's arrays as little-endian numbers in C order.

    Returns:
        A SHA-256 over the names, types, shapes and bytes of all arrays, and the SHA-256 of each
        array's bytes alone, by its name.
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


def _write_array(path: Path, array: Array) -> int:
    """Write an array in C order; return the file's size in bytes."""
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    return path.stat().st_size
