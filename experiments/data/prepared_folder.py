"""A prepared data set on disk: its files, its meta.json, its lock.

<home>/data/<name>-<key>/
    x_train.npy  y_train.npy  x_validation.npy  y_validation.npy
    test/x.npy  test/y.npy       apart: neither training nor the search reads them
    meta.json                    the keys of `PreparedMeta`
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np

from assay.experiments.data.array_header import read_array_header
from assay.experiments.data.layout import Layout, input_shape_in
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.sources.base import Source
from assay.models.data import (
    ARRAY_FILES,
    META_FILE,
    SPLIT_FILES,
    STORED_TYPES,
    TARGET_TYPES,
    StoredScale,
    TrainingMeta,
    read_meta,
)
from assay.models.errors import DamagedFile, RequestError
from assay.models.files import check_no_link, make_folder, open_regular
from assay.models.tasks import Task
from assay.search.system.files import FileLock, unwritable_error

FORMAT = 6
"""Part of every meta.json. Raise it when the files change: a folder of another format is not read,
and is prepared again in its place.
"""

_KEY_FORMAT = 3
"""Part of every folder's key. It stays: a checkpoint belongs to the name of its data's folder, and
the fingerprint of its study tells whether a release has changed the numbers.
"""

UNIT_SCALE = "unit scale"
"""The key of `PreparedMeta.changed_numbers` that matters with the scale "unit" only."""

LONGEST_NAME = 100
"""Longest data-set name in a folder's name; file systems allow 255 bytes for the whole."""


SCALES = ("unit", "standard", "none")
"""The scales of every prepared folder."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_AXES = {None: 1, "sequence": 2, "channels_last": 3, "channels_first": 3}


class _MetaFormat(TrainingMeta):
    """The format of a prepared folder; those from before it was recorded have `_KEY_FORMAT`."""

    format: int = _KEY_FORMAT


class PreparedMeta(TrainingMeta):
    """What is known of a prepared data set; the keys of meta.json.

    Attributes:
        format: `FORMAT`.
        name: the data set's name; for your own data without the path.
        task: the task that it is prepared for.
        digest: SHA-256 over the source's arrays: names, types, shapes, bytes.
        array_digests: SHA-256 of each source array's bytes in C order.
        verified: whether the arrays are known to be the published ones.
        unverified_reason: why they are not; None if they are.
        input_shape: (features,), (steps, features) or (height, width, channels).
        outputs: number of classes, or for regression the width of a row of y.
        classes: names of the labels 0, 1, 2, ...; empty for regression.
        train_images: number of training examples, a subset if [data] asks for one.
        train_images_available: number of training examples without a subset.
        validation_images: number of validation examples.
        test_images: number of test examples.
        scales: scales by the name under [data], all fitted on the training examples alone.
        centre: what was subtracted from x before the cast to float32, (features,) or (1,); None if
            nothing was. `raw_scale` has it added to the scales.
        validation: number of validation examples, as requested, by default, or of the data's own
            validation set.
        validation_source: where the validation examples come from, for the user.
        split_seed: random seed of the split.
        files: size in bytes of every array's file, by its path within the folder.
        file_digests: SHA-256 of each of these files.
        layout: layout of x as it was read; None for rows.
        source_shape: shape of one input as it was read, such as (3, 32, 32) with channels first.
        input_type: type of x_train in its source, such as "uint8".
        input_range: smallest and largest training input in its source.
        scaled_ranges: smallest and largest training input after scaling, by scale.
        class_counts: number of training examples of each class; empty for regression.
        validation_class_counts: number of validation examples of each class; empty for regression.
        constant_errors: validation error of predicting a constant, by metric: "mae" of the median
            of the training targets, "mse" of their mean; empty for classification.
        findings: warnings about the numbers, by scale.
        changed_numbers: what training sees otherwise than in release 0.1.0 and why, by part of the
            data; see `find_changed_numbers`.
    """

    format: int = FORMAT
    # Required here; `TrainingMeta` has defaults for folders that are older than regression.
    task: Task
    outputs: int
    array_digests: Mapping[str, str]
    verified: bool
    unverified_reason: str | None
    train_images: int
    train_images_available: int
    validation_images: int
    test_images: int
    validation: int
    split_seed: int
    files: Mapping[str, int]
    file_digests: Mapping[str, str]
    centre: tuple[float, ...] | None
    validation_source: str
    layout: Layout | None
    source_shape: tuple[int, ...]
    input_type: str
    input_range: tuple[float, float]
    scaled_ranges: Mapping[str, tuple[float, float]]
    class_counts: tuple[int, ...]
    validation_class_counts: tuple[int, ...]
    constant_errors: Mapping[str, float]
    findings: Mapping[str, tuple[str, ...]]
    changed_numbers: Mapping[str, str]

    @property
    def majority_share(self) -> float | None:
        """Share of the largest class among the validation labels; None for regression."""
        counts = self.validation_class_counts
        return max(counts) / sum(counts) if counts else None

    def raw_scale(self, scale: str) -> StoredScale:
        """Return a scale for inputs as they are in their source: x * factor + offset, in float64.

        Args:
            scale: a name under `scales`.
        """
        stored = self.scales[scale]
        if self.centre is None:
            return stored
        centre = self.centre * (1 if len(self.centre) > 1 else len(stored.factor))
        terms = zip(stored.factor, stored.offset, centre, strict=True)
        offset = tuple(offset - factor * middle for factor, offset, middle in terms)
        return StoredScale(stored.factor, offset)

    def find_changed_numbers(self, scale: str) -> Mapping[str, str]:
        """Return what training with a scale sees otherwise than in release 0.1.0, and why.

        It is part of the study fingerprint, so that a study begun before is not continued with
        other numbers. Empty for data that are read as before.
        """
        return {
            part: change
            for part, change in self.changed_numbers.items()
            if part != UNIT_SCALE or scale == "unit"
        }


def prepared_folder_path(home: Path, source: Source, settings: DataSettings, task: Task) -> Path:
    """Return the folder of a source's arrays, split for a task.

    Scaling is not part of the path: a folder has all scales.

    Raises:
        RequestError: the source cannot be read.
    """
    split = [settings.validation, settings.train_images, settings.split_seed]
    # The source's own key changes with its files: a folder never holds outdated arrays.
    key = json.dumps([_KEY_FORMAT, source.name, source.cache_key(), task, *split])
    # The name only helps people: the hash alone identifies the folder.
    name = re.sub(r"[^A-Za-z0-9]+", "-", source.name.removesuffix(".npz"))[:LONGEST_NAME]
    return home.absolute() / "data" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def write_prepared_meta(folder: Path, meta: PreparedMeta) -> None:
    """Write meta.json."""
    record = meta.model_dump(mode="json")
    (folder / META_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")


def read_prepared_meta(folder: Path) -> PreparedMeta | None:
    """Read meta.json, and compare it with itself and with sizes and headers of the files.

    It has the size and the digest of every array: one that it left out would be opened unchecked.

    Returns:
        The keys of meta.json; None if there is no such folder, or if it has another format.

    Raises:
        ValueError: the folder is damaged; the message names the file.
    """
    if not folder.is_dir():
        return None
    try:
        if read_meta(folder, _MetaFormat).format != FORMAT:
            return None
        meta = read_meta(folder, PreparedMeta)
    except (OSError, ValueError):
        raise ValueError(f"{META_FILE} cannot be read") from None
    for named in (meta.files, meta.file_digests):
        if named.keys() != ARRAY_FILES:
            name = min(named.keys() ^ ARRAY_FILES)
            rule = "lacks" if name in ARRAY_FILES else "names another file,"
            raise ValueError(f"{META_FILE} {rule} {name}")
    if (key := find_wrong_entry(meta)) is not None:
        raise ValueError(f"{META_FILE} contradicts itself in {key!r}")
    # Sizes take no time to compare, so every start does; `find_damage` reads the contents.
    for file, expected_bytes in meta.files.items():
        path = folder / file
        if not path.is_file():
            raise ValueError(f"{file} is missing")
        if (size_bytes := path.stat().st_size) != expected_bytes:
            raise ValueError(f"{file} has {size_bytes:,} bytes instead of {expected_bytes:,}")
    if (wrong := find_wrong_array(folder, meta)) is not None:
        raise ValueError(f"{wrong} is not the array that {META_FILE} describes")
    return meta


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open_regular(path, "rb") as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


def find_damage(folder: Path, meta: PreparedMeta) -> str | None:
    """Hash every file and count labels; return what differs from what was written, or None.

    Takes 0.05 s for MNIST and 0.15 s for CIFAR-10 if the files are in memory, on one core with SHA
    instructions.
    """
    for file, digest in meta.file_digests.items():
        try:
            if digest_file(folder / file) != digest:
                return f"{file} has other bytes than were written"
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"
        except DamagedFile:
            return f"{file} is no regular file"
    if (wrong := find_wrong_labels(folder, meta)) is not None:
        return f"{wrong} has other labels than {META_FILE}"
    return None


@contextmanager
def lock_prepared_folder(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder while it is written.

    The system releases it if the process dies.

    Args:
        folder: the prepared folder; it need not exist.
        wait: whether to wait until no other process holds the lock.

    Yields:
        Whether the lock is held; always true with `wait`.

    Raises:
        RequestError: home is not a folder that can be written.
        SearchError: home cannot be written, because the disk is full or by its permissions.
    """
    with _home_write_errors(folder.parent):
        make_folder(folder.parent)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        is_held = lock.acquire(wait)
    try:
        yield is_held
    finally:
        lock.release()


@contextmanager
def replace_prepared_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` at the end of the block.

    After an exception it is removed instead: `folder` is complete or does not exist, even if the
    process is killed. The caller holds the lock. An existing folder is replaced.

    Raises:
        DamagedFile: the folder is a symbolic link.
        RequestError: home is not a folder that can be written.
        SearchError: home cannot be written, because the disk is full or by its permissions.
    """
    check_no_link(folder)
    partial = partial_folder_path(folder)
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
        with _home_write_errors(folder.parent):
            partial.mkdir(parents=True)
            yield partial
            # Between these steps there is no folder. A process that looks now starts to prepare the
            # data too, waits for the lock, and then finds the folder complete.
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_folder_path(folder: Path) -> Path:
    """Return the folder that is filled before it becomes `folder`, under the lock."""
    return folder.with_name(f".{folder.name}.partial")


def remove_partial_folder(folder: Path) -> None:
    """Remove what a killed process left half-written, unless another process is writing it."""
    if partial_folder_path(folder).exists():
        with lock_prepared_folder(folder, wait=False) as is_held:
            if is_held:
                shutil.rmtree(partial_folder_path(folder), ignore_errors=True)


@contextmanager
def _home_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # A full disk is no fault of the request: a SearchError has another exit code.
        if (failure := unwritable_error(f"home's folder {folder}", error)) is not None:
            raise failure from None
        raise RequestError(
            "home must be a folder that can be written, with room for the data: "
            f"{folder} cannot be written ({error.strerror or error}); choose another with --home."
        ) from None


# Whether meta.json agrees with itself and with the arrays.


def find_wrong_entry(meta: PreparedMeta) -> str | None:
    """Return the first key of meta.json whose numbers contradict others; None if none do."""
    # In this order: a rule may rely on those above it.
    rules: dict[str, Callable[[], bool]] = {
        "input_shape": lambda: (
            len(meta.input_shape) == _AXES[meta.layout] and min(meta.input_shape) >= 1
        ),
        "source_shape": lambda: (
            input_shape_in(meta.layout, (1, *meta.source_shape)) == meta.input_shape
        ),
        "outputs": lambda: meta.outputs >= (2 if meta.task == "classification" else 1),
        "classes": lambda: (
            len(meta.classes) == (meta.outputs if meta.task == "classification" else 0)
        ),
        "train_images": lambda: 1 <= meta.train_images <= meta.train_images_available,
        "validation_images": lambda: meta.validation == meta.validation_images >= 1,
        "test_images": lambda: meta.test_images >= 1,
        "class_counts": lambda: _are_class_counts(meta),
        "scales": lambda: (
            set(meta.scales) == set(SCALES)
            and all(_is_scale(scale, meta.input_shape[-1]) for scale in meta.scales.values())
        ),
        "centre": lambda: (
            meta.centre is None
            or (len(meta.centre) in (1, meta.input_shape[-1]) and _fit_float32(meta.centre))
        ),
        "target_offset": lambda: (
            meta.target_offset is None
            or (len(meta.target_offset) == meta.outputs and _fit_float32(meta.target_offset))
        ),
        "input_range": lambda: _is_range(meta.input_range),
        "scaled_ranges": lambda: (
            set(meta.scaled_ranges) == set(SCALES)
            and all(map(_is_range, meta.scaled_ranges.values()))
        ),
        "findings": lambda: set(meta.findings) == set(SCALES),
        "split_seed": lambda: meta.split_seed >= 0,
        "verified": lambda: meta.verified == (meta.unverified_reason is None),
        "digest": lambda: _are_digests([meta.digest]),
        "array_digests": lambda: _are_digests(meta.array_digests.values()),
        "files": lambda: set(meta.files) == ARRAY_FILES,
        "file_digests": lambda: (
            set(meta.file_digests) == ARRAY_FILES and _are_digests(meta.file_digests.values())
        ),
    }
    return next((key for key, is_right in rules.items() if not is_right()), None)


def find_wrong_array(folder: Path, meta: PreparedMeta) -> str | None:
    """Return the first file whose header contradicts meta.json; None if none does.

    Args:
        folder: the prepared folder.
        meta: its meta.json, in which `find_wrong_entry` finds nothing.
    """
    counts = {
        "train": meta.train_images,
        "validation": meta.validation_images,
        "test": meta.test_images,
    }
    row = (meta.outputs,) if meta.task == "regression" else ()
    for split, (x_file, y_file) in SPLIT_FILES.items():
        expected = {
            x_file: ((counts[split], *meta.input_shape), STORED_TYPES),
            y_file: ((counts[split], *row), (TARGET_TYPES[meta.task],)),
        }
        for file, (shape, types) in expected.items():
            try:
                with open_regular(folder / file, "rb") as opened:
                    size, header_bytes = read_array_header(opened)
            except (OSError, ValueError, DamagedFile):
                return file
            is_whole = header_bytes + size.bytes == meta.files[file]
            if size.shape != shape or size.dtype.name not in types or not is_whole:
                return file
    return None


def find_wrong_labels(folder: Path, meta: PreparedMeta) -> str | None:
    """Return the first file with labels that contradict meta.json; None if none does.

    The test labels are not read.
    """
    if meta.task == "regression":
        return None
    for split in ("train", "validation"):
        file = SPLIT_FILES[split][1]
        labels = np.load(folder / file, mmap_mode="r", allow_pickle=False)
        if labels.min() < 0 or labels.max() >= meta.outputs:
            return file
        if split == "train" and (
            np.bincount(labels, minlength=meta.outputs).tolist() != [*meta.class_counts]
        ):
            return file
    return None


def _are_class_counts(meta: PreparedMeta) -> bool:
    if meta.task == "regression":
        return not meta.class_counts
    return (
        len(meta.class_counts) == meta.outputs
        and min(meta.class_counts) >= 0
        and sum(meta.class_counts) == meta.train_images
    )


def _is_scale(scale: StoredScale, width: int) -> bool:
    return len(scale.factor) == len(scale.offset) == width and _fit_float32(
        [*scale.factor, *scale.offset]
    )


def _is_range(ends: tuple[float, float]) -> bool:
    return -math.inf < ends[0] <= ends[1] < math.inf


def _fit_float32(numbers: Iterable[float]) -> bool:
    return all(abs(number) <= _LARGEST_FLOAT32 for number in numbers)  # not so for NaN


def _are_digests(texts: Iterable[str]) -> bool:
    return all(_DIGEST.fullmatch(text) for text in texts)
