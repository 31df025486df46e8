"""Whether meta.json of a prepared folder agrees with itself and with the arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay.experiments.data.array_header import read_array_header
from assay.models.data import SPLIT_FILES, STORED_TYPES, TARGET_TYPES, StoredScale
from assay.models.errors import DamagedFile
from assay.models.files import open_regular

if TYPE_CHECKING:  # which imports this module
    from assay.experiments.data.prepared_folder import PreparedMeta

SCALES = ("unit", "standard", "none")
"""The scales of every prepared folder."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_FILES = {file for files in SPLIT_FILES.values() for file in files}
_AXES = {None: 1, "sequence": 2, "channels_last": 3, "channels_first": 3}


def find_wrong_entry(meta: PreparedMeta) -> str | None:
    """Return the first key of meta.json whose numbers contradict others; None if none do."""
    # In this order: a rule may rely on those above it.
    rules: dict[str, Callable[[], bool]] = {
        "input_shape": lambda: (
            len(meta.input_shape) == _AXES[meta.layout] and min(meta.input_shape) >= 1
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
        "files": lambda: set(meta.files) == _FILES,
        "file_digests": lambda: (
            set(meta.file_digests) == _FILES and _are_digests(meta.file_digests.values())
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
