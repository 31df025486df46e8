"""User-defined data sets that are not images of bytes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import DataSettings
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import (
    PreparedMeta,
    digest_file,
    prepared_folder_path,
    read_prepared_meta,
)
from assay.experiments.data.sources.generated import GeneratedSource
from assay.models.tasks import Task
from tests.helpers.small_sets import Arrays


def built(
    arrays: Arrays, folder: Path, task: Task = "classification", **keys: int
) -> tuple[Path, PreparedMeta]:
    np.savez_compressed(folder / "own.npz", **arrays)
    written = ensure_prepared(
        DataSettings(name="npz:own.npz", **keys), folder / "home", folder, folder, task
    )
    meta = read_prepared_meta(written)
    assert meta is not None
    return written, meta


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array(["cat", "bird", "ant"]), ("ant", "bird", "cat")),
        (np.array([10, -5, 9]), ("-5", "9", "10")),
        (np.array([7, 3, 200], np.uint8), ("3", "7", "200")),
    ],
    ids=["texts", "negative", "gaps"],
)
def test_labels_can_be_any_integers_or_strings(
    labels: np.ndarray, names: tuple[str, ...], arrays: Arrays, tmp_path: Path
) -> None:
    arrays["y_train"], arrays["y_test"] = labels[arrays["y_train"]], labels[arrays["y_test"]]
    folder, meta = built(arrays, tmp_path)
    assert meta.classes == names
    for part in ("x_train", "y_train"), ("x_validation", "y_validation"), ("test/x", "test/y"):
        x, y = (np.load(folder / f"{name}.npy") for name in part)
        # The first pixel of an image is the index of its label in `labels`.
        assert [names[number] for number in y] == [str(labels[pixel]) for pixel in x[:, 0, 0, 0]]


def test_labels_can_be_a_column(arrays: Arrays, tmp_path: Path) -> None:
    _, flat = built(arrays, tmp_path)
    arrays["y_train"], arrays["y_test"] = arrays["y_train"][:, None], arrays["y_test"][:, None]
    _, column = built(arrays, tmp_path)
    assert column.digest == flat.digest


def test_the_digest_ignores_memory_layout_and_endianness(arrays: Arrays, tmp_path: Path) -> None:
    _, plain = built(arrays, tmp_path)
    arrays["x_train"] = np.asfortranarray(arrays["x_train"])
    arrays["y_train"] = arrays["y_train"].astype(">i8")
    _, other = built(arrays, tmp_path)
    assert other.digest == plain.digest


@pytest.mark.parametrize("kind", ["bool", "int16", "float16", "float64", "uint8"])
def test_rows_of_numbers_become_float32(kind: str, arrays: Arrays, tmp_path: Path) -> None:
    for name in ("x_train", "x_test"):
        arrays[name] = arrays[name].reshape(-1, 16).astype(kind)
    folder, meta = built(arrays, tmp_path)
    x = np.load(folder / "x_train.npy")
    assert meta.input_shape == (16,)
    assert (x.shape, x.dtype) == ((50, 16), np.float32)
    unit = meta.scales["unit"]
    scaled = x * np.array(unit.factor, np.float32) + np.array(unit.offset, np.float32)
    spread = x.max(axis=0) > x.min(axis=0)
    np.testing.assert_allclose(scaled.min(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.max(axis=0), spread, atol=1e-6)


def test_images_of_fractions_are_scaled_as_a_whole(arrays: Arrays, tmp_path: Path) -> None:
    for name in ("x_train", "x_test"):
        pixels = arrays[name] / 255.0
        arrays[name] = np.stack([pixels * 2 - 1, pixels / 2], axis=-1)
    folder, meta = built(arrays, tmp_path)
    x = np.load(folder / "x_train.npy")
    assert (x.dtype, meta.input_shape) == (np.float32, (4, 4, 2))
    unit = meta.scales["unit"]
    scaled = x * np.array(unit.factor, np.float32) + np.array(unit.offset, np.float32)
    assert len(set(unit.factor)) == 1
    np.testing.assert_allclose([scaled.min(), scaled.max()], [0, 1], atol=1e-6)


def test_the_recorded_name_contains_no_path(arrays: Arrays, tmp_path: Path) -> None:
    folder, meta = built(arrays, tmp_path)
    assert meta.name == "npz:own.npz"
    assert str(tmp_path) not in (folder / "meta.json").read_text()


def test_a_changed_file_is_prepared_again(arrays: Arrays, tmp_path: Path) -> None:
    before, _ = built(arrays, tmp_path)
    arrays["x_train"] = 255 - arrays["x_train"]
    after, _ = built(arrays, tmp_path)
    assert before != after


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_file_outside_of_the_folder_is_no_part_of_it(
    is_absolute: bool, arrays: Arrays, tmp_path: Path
) -> None:
    folder, _ = built(arrays, tmp_path)
    outside = folder.parent / "secret"
    outside.write_text("theirs")
    name = str(outside) if is_absolute else "../secret"
    meta = json.loads((folder / "meta.json").read_text())
    meta["files"][name], meta["file_digests"][name] = len("theirs"), digest_file(outside)
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=rf"^meta.json names another file, {re.escape(name)}$"):
        read_prepared_meta(folder)
    _, mended = built(arrays, tmp_path)
    assert name not in mended.files


@pytest.mark.parametrize("kind", ["int64", "uint8", "float16", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=["flat", "column", "wide"])
def test_regression_targets_can_be_any_numbers(
    kind: str, shape: tuple[int, ...], arrays: Arrays, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        y = np.array(arrays[f"x_{part}"][:, 3, 3], np.float64) / 2
        arrays[f"y_{part}"] = np.broadcast_to(
            y[(..., *(np.newaxis,) * len(shape))], (len(y), *shape)
        ).astype(kind)
    folder, meta = built(arrays, tmp_path, "regression")
    outputs = shape[0] if shape else 1
    assert (meta.task, meta.outputs, meta.classes) == ("regression", outputs, ())
    for part in ("x_train", "y_train"), ("x_validation", "y_validation"), ("test/x", "test/y"):
        x, y = (np.load(folder / f"{name}.npy") for name in part)
        assert (y.shape, y.dtype) == ((len(x), outputs), np.float32)
        expected = (x[:, 3, 3, 0].astype(np.float64) / 2).astype(kind).astype(np.float32)
        assert np.array_equal(y, np.broadcast_to(expected[:, np.newaxis], y.shape))


def test_the_task_decides_whether_integers_are_labels(arrays: Arrays, tmp_path: Path) -> None:
    labels, as_labels = built(arrays, tmp_path)
    numbers = ensure_prepared(
        DataSettings(name="npz:own.npz"), tmp_path / "home", tmp_path, tmp_path, "regression"
    )
    as_numbers = read_prepared_meta(numbers)
    assert as_numbers is not None
    assert labels != numbers
    assert (as_labels.outputs, as_numbers.outputs) == (3, 1)
    assert as_labels.digest == as_numbers.digest


def test_a_subset_keeps_rare_classes(arrays: Arrays, tmp_path: Path) -> None:
    arrays["y_train"] = np.r_[np.zeros(54, int), [1] * 6]
    arrays["y_test"] = np.zeros(12, int)
    folder, _ = built(arrays, tmp_path, validation=10, train_images=2)
    assert sorted(np.load(folder / "y_train.npy")) == [0, 1]


def test_a_subset_can_be_the_whole_training_set(arrays: Arrays, tmp_path: Path) -> None:
    whole, _ = built(arrays, tmp_path, validation=10)
    kept, _ = built(arrays, tmp_path, validation=10, train_images=50)
    assert (whole / "x_train.npy").read_bytes() == (kept / "x_train.npy").read_bytes()


def test_a_folder_of_an_older_format_is_prepared_again_in_its_place(
    arrays: Arrays, tmp_path: Path
) -> None:
    folder, now = built(arrays, tmp_path)
    meta = json.loads((folder / "meta.json").read_text())
    # As release 0.1.0 wrote it, which knew of none of these.
    new = {"format", "centre", "target_offset", "validation_source", "layout", "input_type"}
    new |= {"input_range", "scaled_ranges", "class_counts", "findings", "changed_numbers"}
    (folder / "meta.json").write_text(json.dumps({k: v for k, v in meta.items() if k not in new}))
    assert read_prepared_meta(folder) is None, "it is neither damaged nor used"
    again = ensure_prepared(DataSettings(name="npz:own.npz"), tmp_path / "home", tmp_path, tmp_path)
    assert again == folder
    assert read_prepared_meta(folder) == now


def test_the_name_of_a_folder_is_that_of_earlier_releases(tmp_path: Path) -> None:
    # Checkpoints of studies that were begun with them belong to it.
    settings = DataSettings(name="xor", validation=100, train_images=300, split_seed=2, seed=4)
    source = GeneratedSource("xor", seed=4)
    key = json.dumps([3, "xor", source.cache_key(), "classification", 100, 300, 2])
    expected = f"xor-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    found = prepared_folder_path(tmp_path, source, settings, "classification")
    assert found == tmp_path / "data" / expected
