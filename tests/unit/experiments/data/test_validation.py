"""The user's own validation set, in arrays and in folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import DataSettings, count_training_images, locate_source
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import read_prepared_meta
from assay.models.errors import RequestError
from tests.helpers.own_data import prepare_arrays, prepare_here
from tests.helpers.small_sets import Arrays, make_arrays, make_tree

NAMES = ("ant", "bird", "cat")
PARTS = ("val", "valid", "validation", "dev")
OWN = DataSettings(name="npz:own.npz")
PETS = DataSettings(name="folder:pets")


def with_validation(part: str = "val", images: int = 9) -> Arrays:
    """Return small arrays with validation images that are not in the training set."""
    other = make_arrays(images, 12)
    return make_arrays() | {f"x_{part}": 255 - other["x_train"], f"y_{part}": other["y_train"]}


def make_pets(root: Path, *parts: str) -> Path:
    """Write train/ and test/ of 12 and 6 images, and 6 other images to each further folder."""
    pets = make_tree(root / "pets", make_arrays(12, 6), NAMES)
    for part in parts:
        tree = make_tree(root / "other", make_arrays(6, 3), NAMES)
        shutil.move(tree / "train", pets / part)
        shutil.rmtree(tree)
    return pets


@pytest.mark.parametrize("part", PARTS)
def test_validation_arrays_are_used_whole_and_nothing_is_split_off(
    part: str, tmp_path: Path
) -> None:
    arrays = with_validation(part)
    data = prepare_arrays(arrays, tmp_path)
    assert (data.train_images, data.validation_images, data.test_images) == (60, 9, 12)
    assert data.validation_source == f"x_{part} and y_{part}"
    x, y = (np.load(data.folder / f"{letter}_validation.npy") for letter in "xy")
    assert np.array_equal(x[..., 0], arrays[f"x_{part}"])
    assert np.array_equal(y, arrays[f"y_{part}"])
    train = np.load(data.folder / "x_train.npy")
    assert sorted(image.tobytes() for image in train) == sorted(
        image.tobytes() for image in arrays["x_train"]
    )
    assert count_training_images(OWN, tmp_path, tmp_path) == 60


@pytest.mark.parametrize("part", PARTS)
def test_a_validation_folder_is_used_whole(part: str, tmp_path: Path) -> None:
    make_pets(tmp_path, part)
    assert count_training_images(PETS, tmp_path, tmp_path) == 12
    data = prepare_here(PETS, tmp_path)
    assert (data.train_images, data.validation_images, data.test_images) == (12, 6, 6)
    assert data.validation_source == f"{part}/"
    expected = make_arrays(6, 3)
    order = np.argsort(expected["y_train"], kind="stable")
    x, y = (np.load(data.folder / f"{letter}_validation.npy") for letter in "xy")
    assert np.array_equal(x[..., 0], expected["x_train"][order])
    assert np.array_equal(y, expected["y_train"][order])


def test_data_without_a_validation_set_are_split_as_before(tmp_path: Path) -> None:
    data = prepare_arrays(make_arrays(), tmp_path)
    assert (data.train_images, data.validation_images) == (50, 10)
    assert data.validation_source == "split off the training set, stratified, split_seed 0"
    assert "validation" not in data.changed_numbers
    numbers = make_arrays() | {"y_train": np.arange(60) / 7, "y_test": np.arange(12) / 7}
    random = prepare_arrays(numbers, tmp_path, "regression", split_seed=3)
    assert random.validation_source == "split off the training set, at random, split_seed 3"


def test_a_subset_of_the_training_set_is_shuffled_and_stratified(tmp_path: Path) -> None:
    arrays = with_validation()
    order = np.argsort(arrays["y_train"], kind="stable")
    arrays |= {name: arrays[name][order] for name in ("x_train", "y_train")}
    data = prepare_arrays(arrays, tmp_path, train_images=30)
    assert (data.train_images, data.train_images_available, data.validation_images) == (30, 60, 9)
    assert data.class_counts == (10, 10, 10)
    settings = DataSettings(name="npz:own.npz", train_images=30)
    assert count_training_images(settings, tmp_path, tmp_path) == 30
    numbers = arrays | {name: arrays[name] / 7 for name in ("y_train", "y_val", "y_test")}
    first = prepare_arrays(numbers, tmp_path, "regression", train_images=20)
    other = prepare_arrays(numbers, tmp_path, "regression", train_images=20, split_seed=1)
    trained = [np.load(one.folder / "y_train.npy")[:, 0] for one in (first, other)]
    # Sorted by their targets, the first twenty would have one target only.
    assert all(len(np.unique(y)) == 3 for y in trained)
    assert not np.array_equal(*trained)


def test_the_digest_covers_the_validation_arrays_when_there_are_some(tmp_path: Path) -> None:
    plain = prepare_arrays(make_arrays(), tmp_path)
    own = prepare_arrays(with_validation(), tmp_path)
    renamed = prepare_arrays(with_validation("dev"), tmp_path)
    changed = with_validation()
    changed["x_val"][0, 0, 0] ^= 1
    other = prepare_arrays(changed, tmp_path)
    assert len({plain.digest, own.digest, other.digest}) == 3
    assert renamed.digest == own.digest
    assert set(own.array_digests) - set(plain.array_digests) == {"x_validation", "y_validation"}
    extra = prepare_arrays(make_arrays() | {"mean": np.zeros(3)}, tmp_path)
    assert extra.digest == plain.digest


def test_the_digest_of_four_arrays_is_that_of_earlier_releases(tmp_path: Path) -> None:
    data = prepare_arrays(make_arrays(), tmp_path)
    assert data.digest == "f4334fbac904289dad781497844f29bcbfda820ea4dcd234f7146b72843de77c"


def test_a_class_may_have_one_training_image_where_nothing_is_split_off(tmp_path: Path) -> None:
    arrays = with_validation() | {"y_train": np.r_[np.zeros(30, int), np.ones(29, int), 2]}
    assert prepare_arrays(arrays, tmp_path).class_counts == (30, 29, 1)


def test_labels_may_be_missing_from_the_validation_set(tmp_path: Path) -> None:
    arrays = with_validation()
    arrays |= {name: np.array(NAMES)[arrays[name]] for name in ("y_train", "y_test")}
    arrays["y_val"] = np.full((9, 1), "cat")
    data = prepare_arrays(arrays, tmp_path)
    assert np.load(data.folder / "y_validation.npy").tolist() == [2] * 9


def test_numbers_to_predict_may_have_a_validation_set(tmp_path: Path) -> None:
    arrays = with_validation()
    arrays |= {name: arrays[name][:, np.newaxis] / 2 for name in ("y_train", "y_val", "y_test")}
    data = prepare_arrays(arrays, tmp_path, "regression")
    assert np.array_equal(np.load(data.folder / "y_validation.npy"), arrays["y_val"])


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({"y_val": None}, {}, "both arrays of a validation set: y_val is missing beside x_val"),
        ({"x_val": None}, {}, "both arrays of a validation set: x_val is missing beside y_val"),
        (
            {"x_dev": np.zeros((2, 4, 4), np.uint8), "y_dev": np.zeros(2, int)},
            {},
            "one validation set at most; it holds x_val, y_val, x_dev, y_dev: keep one pair",
        ),
        ({"y_valid": np.zeros(2, int)}, {}, "holds x_val, y_val, y_valid"),
        ({"y_val": np.arange(9) % 4}, {}, "every label of y_val must be in y_train; 3 is not"),
        ({"y_val": np.arange(8) % 3}, {}, "x_val and y_val must be equally long; received 9 and 8"),
        (
            {"x_val": np.zeros((9, 5, 4), np.uint8)},
            {},
            r"x_train and x_val must agree .* received \(60, 4, 4\) and \(9, 5, 4\)",
        ),
        ({"x_val": np.zeros((9, 16), np.uint8)}, {}, "x_train and x_val must agree"),
        ({"y_val": np.array(["a"] * 9)}, {}, "y_train and y_val must be of one kind"),
        ({"x_val": np.full((9, 4, 4), np.nan)}, {}, "x_val must hold finite numbers"),
        (
            {"x_val": np.zeros((0, 4, 4), np.uint8), "y_val": np.zeros(0, int)},
            {},
            "x_val must not be empty",
        ),
        ({}, {"validation": 10}, "x_val and y_val; received 10: remove validation, or x_val and"),
        ({}, {"train_images": 61}, "train_images must be at most the 60 images"),
    ],
)
def test_a_wrong_validation_set_is_refused_in_one_line(
    change: dict[str, Any], keys: dict[str, int], message: str, tmp_path: Path
) -> None:
    arrays = {name: x for name, x in (with_validation() | change).items() if x is not None}
    with pytest.raises(RequestError, match=message) as caught:
        prepare_arrays(arrays, tmp_path, **keys)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"validation": 10}, "remove validation"), ({"train_images": 61}, "at most the 60 images")],
)
def test_a_number_that_contradicts_it_is_refused_before_preparation(
    keys: dict[str, int], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "own.npz", **with_validation())
    with pytest.raises(RequestError, match=message):
        count_training_images(DataSettings(name="npz:own.npz", **keys), tmp_path, tmp_path)


def test_wrong_validation_folders_are_refused_in_one_line(tmp_path: Path) -> None:
    pets = make_pets(tmp_path, "val", "valid")
    with pytest.raises(RequestError, match="at most; received val/, valid/: keep one"):
        count_training_images(PETS, tmp_path, tmp_path)
    shutil.rmtree(pets / "valid")
    with pytest.raises(RequestError, match="validation set, val/; received 3: remove validation"):
        count_training_images(DataSettings(name="folder:pets", validation=3), tmp_path, tmp_path)
    (pets / "val" / "bird").rename(pets / "val" / "brid")
    with pytest.raises(RequestError, match=r"every class of val/ .*brid\. Did you mean 'bird'"):
        count_training_images(PETS, tmp_path, tmp_path)
    shutil.rmtree(pets / "val")
    (pets / "val" / "cat").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"pets/val must hold images to validate with"):
        ensure_prepared(PETS, tmp_path / "home", tmp_path, tmp_path)


def test_a_changed_validation_image_is_read_again(tmp_path: Path) -> None:
    pets = make_pets(tmp_path, "val")
    before = prepare_here(PETS, tmp_path)
    next((pets / "val" / "cat").iterdir()).unlink()
    after = prepare_here(PETS, tmp_path)
    assert (before.folder != after.folder, after.validation_images) == (True, 5)


def test_what_nothing_reads_is_listed(tmp_path: Path) -> None:
    arrays = with_validation() | {"x_unlabelled": np.zeros(3), "classes": np.array(NAMES)}
    np.savez(tmp_path / "own.npz", **arrays)
    assert locate_source(OWN, tmp_path, tmp_path).list_unused() == ("x_unlabelled", "classes")
    np.savez(tmp_path / "own.npz", **with_validation())
    assert locate_source(OWN, tmp_path, tmp_path).list_unused() == ()
    pets = make_pets(tmp_path, "dev")
    source = locate_source(PETS, tmp_path, tmp_path)
    assert source.list_unused() == ()
    (pets / "extra").mkdir()
    for name in ("labels.csv", ".DS_Store", "Thumbs.db"):
        (pets / name).touch()
    assert source.list_unused() == ("extra", "labels.csv")


def test_a_published_set_is_its_four_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", **with_validation())
    source = locate_source(DataSettings(name="mnist"), tmp_path, tmp_path)
    assert source.find_validation_set() is None
    assert source.list_unused() == ()
    assert [name for name, _ in source.load().items()] == ["x_train", "y_train", "x_test", "y_test"]
    assert count_training_images(DataSettings(name="mnist"), tmp_path, tmp_path) == 50


def test_the_facts_survive_meta_json(tmp_path: Path) -> None:
    data = prepare_arrays(with_validation(), tmp_path)
    record = json.loads((data.folder / "meta.json").read_text())
    assert record["validation_source"] == "x_val and y_val"
    meta = read_prepared_meta(data.folder)
    assert meta is not None
    assert meta.changed_numbers == {"validation": "x_val and y_val"}


def test_the_classes_of_the_validation_examples_are_counted(tmp_path: Path) -> None:
    arrays = make_arrays()
    labels = np.r_[np.zeros(36, int), np.ones(18, int), np.full(6, 2)]
    data = prepare_arrays(arrays | {"y_train": labels}, tmp_path, validation=10)
    stored = np.load(data.folder / "y_validation.npy")
    assert data.validation_class_counts == tuple(np.bincount(stored, minlength=3))
    assert data.majority_share == pytest.approx((stored == 0).mean()) == 0.6
    assert data.constant_errors == {}
    own = prepare_arrays(with_validation(), tmp_path)
    assert own.validation_class_counts == (3, 3, 3)


def test_the_validation_errors_of_a_constant_are_those_of_the_training_targets(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    targets = 1e6 + random.exponential(size=(60, 2))  # a large offset is subtracted
    arrays = make_arrays() | {"y_train": targets, "y_test": targets[:12]}
    data = prepare_arrays(arrays, tmp_path, "regression")
    train = np.load(data.folder / "y_train.npy").astype(float)
    validation = np.load(data.folder / "y_validation.npy").astype(float)
    errors = [validation[:, at] - np.median(train[:, at]) for at in (0, 1)]
    assert data.constant_errors["mae"] == pytest.approx(np.mean(np.abs(errors)))
    errors = [validation[:, at] - train[:, at].mean() for at in (0, 1)]
    assert data.constant_errors["mse"] == pytest.approx(np.mean(np.square(errors)))
    assert (data.validation_class_counts, data.majority_share) == ((), None)
