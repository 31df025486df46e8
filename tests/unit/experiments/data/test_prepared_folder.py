"""A meta.json whose numbers contradict each other or the arrays is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import DataSettings, PreparedData
from assay.experiments.data.arrays import Array
from assay.experiments.data.prepared_folder import digest_file, find_damage, read_prepared_meta
from assay.models.tasks import Task
from tests.helpers.own_data import prepare_arrays, prepare_here, with_test
from tests.helpers.small_sets import make_arrays

Meta = dict[str, Any]


def write_classes(folder: Path) -> PreparedData:
    """Prepare 50 + 10 images of 3 classes."""
    return prepare_arrays(make_arrays(), folder)


def write_numbers(folder: Path) -> PreparedData:
    """Prepare rows of 3 numbers far from 0, with two targets far from 0 each."""
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 3)) + 1e9
    return prepare_arrays(with_test(x, x[:, :2] + 1e6), folder, "regression")


def change(folder: Path, forge: Callable[[Meta], object]) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    forge(meta)
    (folder / "meta.json").write_text(json.dumps(meta))


def to_all(meta: Meta, **changes: Any) -> None:
    for scale in meta["scales"].values():
        scale.update(changes)


def add_to_counts(meta: Meta, *changes: int) -> None:
    for label, added in enumerate(changes):
        meta["class_counts"][label] += added


FORGED_CLASSES: dict[str, Callable[[Meta], object]] = {
    "a factor that is no number": lambda meta: to_all(meta, factor=[math.nan]),
    "an infinite offset": lambda meta: to_all(meta, offset=[math.inf]),
    "a factor beyond float32": lambda meta: to_all(meta, factor=[1e300]),
    "a factor of digits": lambda meta: to_all(meta, factor=[10**400]),
    "a factor too many": lambda meta: to_all(meta, factor=[1.0, 1.0], offset=[0.0, 0.0]),
    "no factor": lambda meta: to_all(meta, factor=[], offset=[]),
    "no scales": lambda meta: meta.update(scales={}),
    "a scale less": lambda meta: meta["scales"].pop("standard"),
    "a scale more": lambda meta: meta["scales"].update(mine=meta["scales"]["unit"]),
    "very many training images": lambda meta: meta.update(train_images=10**12),
    "no training image": lambda meta: meta.update(train_images=0),
    "more training images than available": lambda meta: meta.update(train_images_available=1),
    "one training image less": lambda meta: (
        meta.update(train_images=49),
        add_to_counts(meta, -1, 0),
    ),
    "negative validation images": lambda meta: meta.update(validation_images=-5, validation=-5),
    "other validation images": lambda meta: meta.update(validation_images=11, validation=11),
    "two numbers of validation images": lambda meta: meta.update(validation=9),
    "no test image": lambda meta: meta.update(test_images=0),
    "more test images": lambda meta: meta.update(test_images=10**9),
    "a negative class count": lambda meta: meta.update(class_counts=[-1, 25, 26]),
    "other class counts": lambda meta: add_to_counts(meta, 1, -1),
    "a class count less": lambda meta: meta.update(class_counts=[25, 25]),
    "no class counts": lambda meta: meta.update(class_counts=[]),
    "a class less": lambda meta: meta.update(classes=["a", "b"]),
    "a class and its count less": lambda meta: meta.update(
        classes=["a", "b"], outputs=2, class_counts=[25, 25]
    ),
    "five outputs": lambda meta: meta.update(outputs=5),
    "very many outputs": lambda meta: meta.update(outputs=10**9),
    "no outputs": lambda meta: meta.update(outputs=0, classes=[], class_counts=[]),
    "another input shape": lambda meta: meta.update(input_shape=[4, 5, 1]),
    "rows": lambda meta: meta.update(input_shape=[16], layout=None),
    "no input shape": lambda meta: meta.update(input_shape=[]),
    "an empty input shape": lambda meta: meta.update(input_shape=[4, 4, 0]),
    "another layout": lambda meta: meta.update(layout="sequence"),
    "another task": lambda meta: meta.update(task="regression", classes=[], class_counts=[]),
    "a range that is no number": lambda meta: meta.update(input_range=[math.nan, 1.0]),
    "an endless range": lambda meta: meta["scaled_ranges"].update(unit=[0.0, math.inf]),
    "a range that ends before it begins": lambda meta: meta.update(input_range=[2.0, 1.0]),
    "no scaled ranges": lambda meta: meta.update(scaled_ranges={}),
    "no findings": lambda meta: meta.update(findings={}),
    "a negative seed": lambda meta: meta.update(split_seed=-1),
    "verified with a reason against it": lambda meta: meta.update(verified=True),
    "a digest of another form": lambda meta: meta.update(digest="0"),
    "an offset of the targets": lambda meta: meta.update(target_offset=[1.0]),
    "an endless centre": lambda meta: meta.update(centre=[math.inf]),
    "no digests of files": lambda meta: meta.update(file_digests={}),
    "a digest of a file less": lambda meta: meta["file_digests"].popitem(),
    "no files": lambda meta: meta.update(files={}, file_digests={}),
}

FORGED_NUMBERS: dict[str, Callable[[Meta], object]] = {
    "a centre of another width": lambda meta: meta.update(centre=[1.0, 1.0]),
    "a centre that is no number": lambda meta: meta.update(centre=[math.nan] * 3),
    "an offset of another width": lambda meta: meta.update(target_offset=[1.0]),
    "an endless offset": lambda meta: meta.update(target_offset=[math.inf, 1.0]),
    "an output more": lambda meta: meta.update(outputs=3, target_offset=[1.0, 1.0, 1.0]),
    "classes": lambda meta: meta.update(classes=["a", "b"]),
    "class counts": lambda meta: meta.update(class_counts=[1, 2]),
}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return write_classes(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return write_numbers(tmp_path_factory.mktemp("numbers"))


def damage_of(folder: Path) -> str | None:
    """Return what a start finds wrong with a folder."""
    try:
        meta = read_prepared_meta(folder)
    except ValueError as error:
        return str(error)
    assert meta is not None
    return find_damage(folder, meta)


@pytest.mark.parametrize(
    ("task", "forge"),
    [
        *(pytest.param("classes", case, id=name) for name, case in FORGED_CLASSES.items()),
        *(pytest.param("numbers", case, id=name) for name, case in FORGED_NUMBERS.items()),
    ],
)
def test_a_forged_meta_is_damage(
    task: str, forge: Callable[[Meta], object], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(task).folder
    whole = (folder / "meta.json").read_bytes()
    assert damage_of(folder) is None
    change(folder, forge)
    try:
        found = damage_of(folder)
    finally:
        (folder / "meta.json").write_bytes(whole)
    assert found is not None
    assert "\n" not in found


FORGED_ARRAYS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "a label beyond the outputs": ("y_train.npy", lambda y: y + (y == 2).astype(np.int32)),
    "a negative label": ("y_validation.npy", lambda y: -y),
    "labels in another order of classes": ("y_train.npy", lambda y: 2 - y),
    "labels of 8 bytes": ("y_train.npy", lambda y: y.astype(np.int64)),
    "numbers for labels": ("y_validation.npy", lambda y: y.astype(np.float32)),
    "an image less": ("x_train.npy", lambda x: x[1:]),
    "wide images": ("x_validation.npy", lambda x: np.repeat(x, 2, axis=1)),
    "a test label less": ("test/y.npy", lambda y: y[1:]),
    "test images of 8 bytes": ("test/x.npy", lambda x: x.astype(np.float64)),
}


@pytest.mark.parametrize(("file", "forge"), FORGED_ARRAYS.values(), ids=FORGED_ARRAYS)
def test_arrays_that_meta_does_not_describe_are_damage(
    file: str, forge: Callable[[Array], Array], tmp_path: Path
) -> None:
    arrays = make_arrays()
    arrays["y_train"][:3] = 0  # so that the classes differ in number
    folder = prepare_arrays(arrays, tmp_path).folder
    np.save(folder / file, forge(np.load(folder / file)))

    def describe(meta: Meta) -> None:
        meta["files"][file] = (folder / file).stat().st_size
        meta["file_digests"][file] = digest_file(folder / file)

    change(folder, describe)  # which a forger does too
    assert file in str(damage_of(folder))


@pytest.mark.parametrize("header", [b"", b"\x93NUMPY\x01\x00\xff\xff", b"[" * 9_900])
def test_an_array_without_a_header_is_damage(header: bytes, tmp_path: Path) -> None:
    folder = write_classes(tmp_path).folder
    file = folder / "y_train.npy"
    file.write_bytes(header.ljust(file.stat().st_size, b"["))
    change(folder, lambda meta: meta["files"].update({file.name: file.stat().st_size}))
    assert "y_train.npy" in str(damage_of(folder))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_forged_folder_is_prepared_again(task: Task, tmp_path: Path) -> None:
    data = (write_classes if task == "classification" else write_numbers)(tmp_path)
    whole = (data.folder / "meta.json").read_bytes()
    change(data.folder, lambda meta: to_all(meta, factor=[math.nan] * data.input_shape[-1]))
    again = prepare_here(DataSettings(name="npz:own.npz"), tmp_path, task)
    assert (again.folder / "meta.json").read_bytes() == whole
