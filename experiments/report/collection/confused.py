"""The test examples that the leader's networks confuse most, with thumbnails.

The images are read through `open_test_set` alone, by the opening that the finalize has recorded: a
report opens no test set anew, and chooses nothing by it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from assay.experiments.data.prepared_folder import PreparedMeta, read_prepared_meta
from assay.experiments.report.collection.finalists import read_leader_predictions
from assay.experiments.report.collection.plain import to_text
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import ExampleRecord
from assay.models.data import Array, RecordedOpening, TestSet, open_test_set
from assay.models.errors import RequestError

MOST_EXAMPLES = 24
MOST_PIXELS = 64
"""Longest side of a thumbnail."""

_IMAGE_DIMENSIONS = 3
_CHANNELS = (1, 3)
_WORST_ASPECT = 16  # a longer strip would have no height
_BYTE = 255


def collect_examples(sources: StudySources) -> tuple[list[ExampleRecord], str]:
    """Return the examples that most of the leader's networks take for another class.

    Returns:
        At most 24, by number of wrong networks, then by their place in the test set; and how many
        there are in all if that is more, and why they have no image, or an empty text.
    """
    classes = sources.data.get("classes")
    read = read_leader_predictions(sources) if sources.task == "classification" else None
    if read is None or not isinstance(classes, list) or not classes:
        return [], ""
    predictions, targets = read
    wrong = (predictions != targets).sum(axis=0)
    # A stable sort: of equal ones the first in the test set.
    order = np.argsort(-wrong, kind="stable")
    confused = [int(index) for index in order if 2 * wrong[index] > len(predictions)]
    chosen = confused[:MOST_EXAMPLES]
    if not chosen:
        return [], ""
    images, why_not = _read_images(sources, targets, chosen)
    found = []
    for index in chosen:
        given = predictions[:, index]
        labels, counts = np.unique(given[given != targets[index]], return_counts=True)
        png, width, height = images.get(index, ("", 0, 0))
        found.append(
            ExampleRecord(
                study=to_text(sources.name),
                index=index,
                label=_name(classes, targets[index]),
                predicted=_name(classes, labels[counts.argmax()]),
                wrong=int(wrong[index]),
                networks=len(predictions),
                png=png,
                width=width,
                height=height,
            )
        )
    shown = ""
    if len(confused) > len(chosen):
        shown = (
            f"{len(chosen)} of {len(confused):,} are shown: those that most networks take for "
            "another class; of equals, the first in the test set."
        )
    return found, " ".join(filter(None, (shown, why_not)))


def _name(classes: list[object], label: int) -> str:
    return to_text(classes[label]) if 0 <= label < len(classes) else str(label)


def _read_images(
    sources: StudySources, targets: Array, chosen: list[int]
) -> tuple[dict[int, tuple[str, int, int]], str]:
    """Return PNG, width and height of test images by their index; or none, and why."""
    shape = tuple(sources.data.get("input_shape") or ())
    if len(shape) != _IMAGE_DIMENSIONS:
        return {}, ""  # no images at all
    height, width, channels = shape
    if channels not in _CHANNELS:
        return {}, f"Images with {channels} channels are not shown: only 1 or 3 can be drawn."
    if max(height, width) > _WORST_ASPECT * min(height, width):
        return {}, f"Images with an aspect ratio over {_WORST_ASPECT} are not shown."
    prepared = _find_prepared(sources)
    if prepared is None:
        return {}, (
            "The images are not shown: the prepared data are no longer in home; a finalize or a "
            "sweep prepares them again."
        )
    folder, meta = prepared
    try:
        test_set = _open(sources, folder)
    except RequestError:
        return {}, "The images are not shown: the prepared test set can't be read."
    if not np.array_equal(test_set.y, targets):
        return {}, "The images are not shown: the prepared test set is not the one that was judged."
    images = {
        index: draw_thumbnail(test_set.x[index], meta.input_range, meta.centre) for index in chosen
    }
    return images, ""


def _find_prepared(sources: StudySources) -> tuple[Path, PreparedMeta] | None:
    """Return a prepared folder of the study's data; nothing is prepared."""
    digest = sources.data.get("digest")
    for folder in sorted(sources.store_paths.workspace.path.glob("data/*")):
        try:
            meta = read_prepared_meta(folder)
        except (ValueError, OSError):  # a damaged one
            continue
        # Folders of other splits have the same test set.
        if meta is not None and meta.digest == digest and meta.task == sources.task:
            return folder, meta
    return None


def _open(sources: StudySources, folder: Path) -> TestSet:
    """Open the test set by the opening that the finalize has recorded.

    Raises:
        RequestError: it is not recorded, or a file is missing or damaged.
    """
    record = sources.finalize_record
    assert record is not None, "there are predictions"
    journal = sources.store_paths.workspace.finalize_journal(sources.name)
    return open_test_set(folder, RecordedOpening(str(journal), record.plan.opening), "none")


def draw_thumbnail(
    image: Array, input_range: tuple[float, float], centre: Sequence[float] | None = None
) -> tuple[str, int, int]:
    """Return an image as PNG in base64, with its width and height of at most 64 pixels.

    Args:
        image: as stored, uint8 or float32 (height, width, channels) with 1 or 3 channels.
        input_range: smallest and largest training input, which are drawn black and white.
        centre: what was subtracted from the images before they were stored; None for nothing.
    """
    pixels = image.astype(np.float64)
    if centre is not None:
        pixels = pixels + np.asarray(centre)
    low, high = input_range
    if image.dtype == np.uint8:
        low = min(0.0, low)
    scaled = (pixels - low) / ((high - low) or 1.0) * _BYTE
    # A test image may exceed what training images have; NaN is drawn black.
    drawn = np.clip(np.nan_to_num(scaled, nan=0.0), 0, _BYTE).round().astype(np.uint8)
    picture = Image.fromarray(drawn[..., 0] if drawn.shape[-1] == 1 else drawn)
    # Only ever smaller: a page enlarges pixels without blurring them.
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii"), picture.width, picture.height
