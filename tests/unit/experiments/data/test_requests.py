"""Invalid [data] requests: each error message is one line."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import (
    GENERATED_SETS,
    DataSettings,
    check_task,
    count_training_images,
    start_preparing,
    summarize_data_sets,
)
from assay.experiments.data.build import ensure_prepared
from assay.models.errors import RequestError
from assay.models.tasks import Task
from tests.helpers.small_sets import make_arrays

BAD_ARRAYS = {
    "an array is missing": ({"x_test": None}, {}, "x_test is missing"),
    "x and y differ in length": (
        {"y_train": np.arange(59) % 3},
        {},
        "equally long; received 60 and 59",
    ),
    "test images of another size": (
        {"x_test": np.zeros((12, 5, 5), np.uint8)},
        {},
        r"\(12, 5, 5\)",
    ),
    "one dimension": ({"x_train": np.zeros(60)}, {}, r"received \(60,\)"),
    "five dimensions": (
        {"x_train": np.zeros((60, 1, 1, 1, 1))},
        {},
        r"received \(60, 1, 1, 1, 1\)",
    ),
    "no pixels": ({"x_train": np.zeros((60, 0, 4), np.uint8)}, {}, "must not be empty"),
    "complex numbers": (
        {"x_train": np.zeros((60, 4, 4), complex)},
        {},
        "real numbers; received complex128",
    ),
    "texts for images": ({"x_train": np.full((60, 4, 4), "a")}, {}, "real numbers; received <U1"),
    "labels with a fraction": (
        {"y_train": np.arange(60) % 3 / 2},
        {},
        "y_train must hold integers.*float64. "
        "If they are numbers to predict, say task = 'regression'",
    ),
    "one-hot labels": (
        {"y_train": np.eye(3, dtype=int)[np.arange(60) % 3]},
        {},
        r"not one-hot; received \(60, 3\)\. Convert them with y_train\.argmax\(axis=1\)\.$",
    ),
    "one-hot labels in float32": (
        {"y_train": np.eye(3, dtype=np.float32)[np.arange(60) % 3]},
        {},
        r"Convert them with y_train\.argmax\(axis=1\)\.$",
    ),
    "two numbers to predict": (
        {"y_train": np.arange(120).reshape(60, 2) / 7},
        {},
        r"received \(60, 2\)\. If they are numbers to predict, say task = 'regression'\.$",
    ),
    "class numbers in float64": (
        {"y_train": np.arange(60) % 3 * 1.0},
        {},
        r"float64\. They look like class numbers: convert them with y_train\.astype\(int\), or",
    ),
    "class numbers in float32 that begin at 1": (
        {"y_train": (np.arange(60) % 5 + 1).astype(np.float32)},
        {},
        r"float32\. They look like class numbers: convert them",
    ),
    "test labels in float64": (
        {"y_test": np.arange(12) % 3 * 1.0},
        {},
        r"y_test must hold integers.* convert them with y_test\.astype\(int\)",
    ),
    "whole prices": (
        {"y_train": 1000.0 * np.arange(60)},
        {},
        r"received float64\. If they are numbers to predict, say task = 'regression'\.$",
    ),
    "labels with NaN": (
        {"y_train": np.where(np.arange(60) == 3, np.nan, 1.0)},
        {},
        r"received float64\. If they are numbers to predict",
    ),
    "truths": (
        {"y_train": np.arange(60) > 5},
        {},
        r"received bool\. Convert them with y_train\.as",
    ),
    "bytes": (
        {"y_train": np.array([b"a", b"b"] * 30)},
        {},
        r"received \|S1\. Convert them with y_train\.astype\(str\)\.$",
    ),
    "NaN": ({"x_train": np.full((60, 4, 4), np.nan)}, {}, "x_train must hold finite numbers"),
    "one infinity": (
        {"x_test": np.where(np.arange(192).reshape(12, 4, 4) == 9, -np.inf, 1)},
        {},
        "x_test.*finite",
    ),
    "more than float32": (
        {"x_train": np.full((60, 4, 4), 1e39)},
        {},
        "finite numbers that float32",
    ),
    "pickled objects": ({"y_train": np.array([{}] * 60)}, {}, "never read"),
    "records": ({"y_train": np.zeros(60, [("日", int)])}, {}, "named fields"),
    "labels beyond Unicode": (
        {"y_train": np.array([65, 0x110000] * 30, "<u4").view("<U1")},
        {},
        "own.npz: y_train must hold readable text; received the code 0x110000",
    ),
    "labels of the largest numbers": (
        {
            "y_train": np.array(["a", "b"] * 30),
            "y_test": np.full(24, 2**32 - 1, ">u4").view(">U2"),
        },
        {},
        "y_test must hold readable text; received the code 0xffffffff",
    ),
    "labels of halves of a character": (
        {"y_train": np.array([65, 0xD800] * 30, "<u4").view("<U1")},
        {},
        "y_train must hold readable text; received the code 0xd800",
    ),
    "kinds of label differ": (
        {"y_test": np.array(["a"] * 12)},
        {},
        "y_train and y_test must be of one kind",
    ),
    "a test label that training lacks": (
        {"y_test": np.arange(12) % 4},
        {},
        "every label of y_test.*3 is not",
    ),
    "one class": ({"y_train": np.zeros(60, int)}, {}, "two classes or more"),
    "a class with one image": (
        {"y_train": np.r_[np.zeros(59, int), 7]},
        {},
        r"class 7 has one\. If they are numbers to predict, say task = 'regression'\.$",
    ),
    "a named class with one image": (
        {
            "y_train": np.r_[np.full(59, "ant"), ["bee"]],
            "y_test": np.full(12, "ant"),
        },
        {},
        r"class bee has one\.$",
    ),
    "fewer validation images than classes": ({}, {"validation": 2}, "3 classes.*received 2"),
    "fewer training images than classes": ({}, {"validation": 58}, "3 classes.*received 58"),
    "all images validate": (
        {},
        {"validation": 60},
        "fewer than the training set's 60 images; received 60",
    ),
    "no image of a class left": (
        {"y_train": np.r_[np.zeros(58, int), 1, 1], "y_test": np.zeros(12, int)},
        {"validation": 57},
        "leaves no image of class 1",
    ),
    "more to train on than there are": (
        {},
        {"validation": 20, "train_images": 41},
        "train_images must be at most the 40 images that validation leaves; received 41",
    ),
    "fewer to train on than classes": ({}, {"train_images": 2}, "3 classes; received 2"),
}

BAD_NUMBERS = {
    "texts": (
        {"y_train": np.array(["a"] * 60)},
        {},
        "y_train must hold numbers.*say task = 'classification'",
    ),
    "truths": ({"y_train": np.arange(60) > 5}, {}, "y_train must hold numbers to predict.*bool"),
    "complex numbers": (
        {"y_test": np.zeros(12, complex)},
        {},
        "y_test must hold numbers to predict.*complex128",
    ),
    "NaN": (
        {"y_train": np.where(np.arange(60) == 7, np.nan, 1.0)},
        {},
        "y_train must hold finite numbers",
    ),
    "infinity": ({"y_test": np.full((12, 1), np.inf)}, {}, "y_test must hold finite numbers"),
    "more than float32": ({"y_train": np.full(60, -1e39)}, {}, "finite numbers that float32"),
    "three dimensions": (
        {"y_train": np.zeros((60, 2, 2))},
        {},
        r"\(n, outputs\) and not empty; received \(60, 2, 2\)",
    ),
    "no outputs": ({"y_train": np.zeros((60, 0))}, {}, r"received \(60, 0\)"),
    "widths that differ": (
        {"y_train": np.zeros((60, 2)), "y_test": np.zeros((12, 3))},
        {},
        "y_train and y_test.*agree",
    ),
    "one for all and one each": (
        {"y_train": np.zeros((60, 2))},
        {},
        r"received \(60, 2\) and \(12,\)",
    ),
    "x and y differ in length": ({"y_train": np.zeros(59)}, {}, "equally long; received 60 and 59"),
    "all validate": (
        {},
        {"validation": 60},
        "fewer than the training set's 60 images; received 60",
    ),
    "more to train on than there are": (
        {},
        {"validation": 20, "train_images": 41},
        "at most the 40 .* received 41",
    ),
}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize(
    ("task", "change", "fields", "message"),
    [
        *(pytest.param("classification", *case, id=name) for name, case in BAD_ARRAYS.items()),
        *(
            pytest.param("regression", *case, id=f"{name} to predict")
            for name, case in BAD_NUMBERS.items()
        ),
    ],
)
def test_bad_arrays_are_refused_in_one_line(
    task: Task,
    change: dict[str, np.ndarray | None],
    fields: dict[str, int],
    message: str,
    tmp_path: Path,
) -> None:
    arrays = {name: array for name, array in (make_arrays() | change).items() if array is not None}
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(RequestError, match=message) as caught:
        ensure_prepared(
            DataSettings(name="npz:own.npz", **fields), tmp_path / "home", tmp_path, tmp_path, task
        )
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "home" / "data").iterdir() if path.is_dir()], (
        "something was left there"
    )


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[400] ^= 1  # offset into the pixels of x_train, after the headers
    path.write_bytes(content)


def _claim_more(path: Path) -> None:
    """Return a .npy header that claims 8 exabytes."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)}
        )


BAD_FILES = {
    "not there": (Path.unlink, "is not there"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    "no archive": (lambda path: path.write_text("x,y\n1,2\n"), "is not an .npz file"),
    "a single array": (lambda path: np.save(path.open("wb"), np.zeros(3)), "is not an .npz file"),
    "empty": (lambda path: path.write_bytes(b""), "is not an .npz file"),
    "truncated": (_truncate, "is not an .npz file, or is damaged"),
    "one bit flipped": (_flip_a_bit, "is damaged: Bad CRC-32"),
    "a header that lies": (_claim_more, "x_train is damaged"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_in_one_line(
    spoil: Callable[[Path], object], message: str, own_set: Path
) -> None:
    spoil(own_set)
    with pytest.raises(RequestError, match=message) as caught:
        ensure_prepared(
            DataSettings(name="npz:own.npz"),
            own_set.parent / "home",
            own_set.parent,
            own_set.parent,
        )
    assert "\n" not in str(caught.value)


BAD_TABLES = {
    "a name nearly right": ({"name": "minst"}, "unknown data set 'minst'.*Did you mean 'mnist'"),
    "no name": ({}, "must say 'name'"),
    "a name nearly right that is drawn": ({"name": "halfspaces"}, "Did you mean 'half-spaces'"),
    "no path": ({"name": "npz:"}, "must contain the path of a file"),
    "no folder": ({"name": "folder:"}, "must contain the path of a folder"),
    "nobody validates": ({"name": "digits", "validation": 0}, r"\[data\] validation"),
    "a fraction": ({"name": "digits", "validation": 0.2}, r"\[data\] validation.*received 0.2"),
    "a seed below nought": ({"name": "digits", "split_seed": -1}, "split_seed"),
    "a scale of one's own": ({"name": "digits", "scale": "minmax"}, "'unit', 'standard' or 'none'"),
    "a mistyped key": ({"name": "digits", "scael": "unit"}, "Did you mean 'scale'"),
    "nobody trains": ({"name": "digits", "train_images": 0}, r"\[data\] train_images.*received 0"),
    "a fraction trains": (
        {"name": "digits", "train_images": 0.5},
        r"\[data\] train_images.*received 0.5",
    ),
    "one side": (
        {"name": "folder:a", "size": 28},
        r"\[data\] size: must be \[height, width\].*received 28",
    ),
    "one side in a list": (
        {"name": "folder:a", "size": [28]},
        r"must be \[height, width\].*received \[28\]",
    ),
    "three sides": (
        {"name": "folder:a", "size": [8, 8, 3]},
        r"must be \[height, width\].*received \[8, 8, 3\]",
    ),
    "no height": ({"name": "folder:a", "size": [0, 8]}, r"from 1 to 4,096; received \[0, 8\]"),
    "too wide": ({"name": "folder:a", "size": [8, 4097]}, r"from 1 to 4,096; received \[8, 4097\]"),
    "half a pixel": ({"name": "folder:a", "size": [8, 8.5]}, r"whole numbers.*received \[8, 8.5\]"),
    "a truth for a side": (
        {"name": "folder:a", "size": [8, True]},
        r"whole numbers.*received \[8, True\]",
    ),
    "size of digits": (
        {"name": "digits", "size": [9, 9]},
        "size is only for folder:PATH; received name = 'digits'",
    ),
    "size of an npz": (
        {"name": "npz:a", "size": [9, 9]},
        "size is only for folder:PATH.*remove size",
    ),
    "samples of digits": (
        {"name": "digits", "samples": 9},
        "samples is only for xor, .*runge; .*remove samples",
    ),
    "noise of a folder": (
        {"name": "folder:a", "noise": 0.1},
        "noise is only for xor, .*'folder:a'",
    ),
    "seed of mnist": ({"name": "mnist", "seed": 0}, "seed is only for xor, .*'mnist'"),
    "three samples": ({"name": "xor", "samples": 3}, r"\[data\] samples.*4; received 3"),
    "too many samples": (
        {"name": "xor", "samples": 10**12},
        r"\[data\] samples.*10000000; received 10{12}",
    ),
    "half a sample": ({"name": "xor", "samples": 10.5}, r"\[data\] samples.*received 10.5"),
    "negative noise": ({"name": "sine", "noise": -0.1}, r"\[data\] noise.*received -0.1"),
    "noise that is no number": (
        {"name": "sine", "noise": float("nan")},
        r"\[data\] noise.*received nan",
    ),
    "infinite noise": ({"name": "sine", "noise": float("inf")}, r"\[data\] noise.*received inf"),
    "circles without noise": (
        {"name": "circles", "noise": 0},
        "noise must be above 0 for circles.*received 0",
    ),
    "a seed below nought for points": ({"name": "xor", "seed": -1}, r"\[data\] seed.*received -1"),
    "a seed beyond": ({"name": "xor", "seed": 2**32}, r"\[data\] seed.*received 4294967296"),
}


@pytest.mark.parametrize(("fields", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_in_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        DataSettings.read(fields, "[data]")
    assert "\n" not in str(caught.value)


def test_a_validation_split_without_training_data_is_refused_before_preparation(
    own_set: Path,
) -> None:
    settings = DataSettings(name="npz:own.npz", validation=60)
    with pytest.raises(RequestError, match="fewer than the training set's 60 images"):
        count_training_images(settings, own_set.parent, own_set.parent)


def test_a_sixth_is_the_default_validation_split(own_set: Path) -> None:
    assert (
        count_training_images(DataSettings(name="npz:own.npz"), own_set.parent, own_set.parent)
        == 50
    )
    assert count_training_images(DataSettings(name="mnist"), own_set.parent) == 50_000


@pytest.mark.parametrize("name", [name for name in summarize_data_sets() if name != "npz:PATH"])
def test_a_data_set_that_does_not_fit_the_task_is_refused_with_a_fix(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    right: Task = GENERATED_SETS[name].task if name in GENERATED_SETS else "classification"
    wrong: Task = "classification" if right == "regression" else "regression"
    with pytest.raises(
        RequestError, match=f"^{name} has .*: task must be '{right}'; received '{wrong}'.$"
    ):
        start_preparing(DataSettings(name=name), tmp_path / "home", tmp_path, tmp_path, task=wrong)
    assert not (tmp_path / "home").exists()
    check_task(DataSettings(name=name), right)


@pytest.mark.parametrize("keys", [{"train_images": 51}, {"validation": 40, "train_images": 21}])
def test_too_many_training_examples_are_refused_before_preparation(
    keys: dict[str, int], own_set: Path
) -> None:
    with pytest.raises(RequestError, match=r"train_images must be at most the .* received"):
        count_training_images(
            DataSettings(name="npz:own.npz", **keys), own_set.parent, own_set.parent
        )


def test_a_folder_is_checked_before_preparation(tmp_path: Path) -> None:
    (tmp_path / "pets" / "train" / "ant").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"there is no folder .*pets/test"):
        count_training_images(DataSettings(name="folder:pets"), tmp_path, tmp_path)
