"""Reading of a prepared folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from assay.models.data import DataShape, load_training_data
from assay.models.errors import RequestError
from tests.helpers.limits import time_limit
from tests.helpers.prepared_data import CLASSES, SHAPE, write_folder, write_rows


def test_arrays_are_memory_mapped(folder: Path) -> None:
    data = load_training_data(folder, "unit")
    assert isinstance(data.x_train, np.memmap)
    assert (data.x_train.dtype, data.x_train.shape) == (np.uint8, (150, *SHAPE))
    assert (data.x_validation.shape, data.y_validation.shape) == ((40, *SHAPE), (40,))
    assert data.classes == CLASSES


def test_regression_targets_are_rows_of_numbers(rows: Path) -> None:
    data = load_training_data(rows, "none")
    assert (data.task, data.outputs, data.classes) == ("regression", 2, ())
    assert (data.y_train.dtype, data.y_train.shape, data.y_validation.shape) == (
        np.float32,
        (120, 2),
        (30, 2),
    )
    assert data.shape == DataShape((5,), 2, 120)


def test_a_folder_without_a_task_is_a_classification(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "old")
    meta = json.loads((folder / "meta.json").read_text())
    del meta["task"], meta["outputs"]
    (folder / "meta.json").write_text(json.dumps(meta))
    data = load_training_data(folder, "unit")
    assert (data.task, data.outputs) == ("classification", 3)


@pytest.mark.parametrize(
    "array", [np.zeros(120, np.float32), np.zeros((120, 3), np.float32), np.zeros((120, 2))]
)
def test_invalid_targets_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(write_rows(tmp_path / "wrong") / "y_train.npy", array)
    with pytest.raises(
        RequestError,
        match=r"y_train.npy is not: must hold one row of 2 float32 numbers for each of 120",
    ):
        load_training_data(tmp_path / "wrong", "none")


@pytest.mark.parametrize(
    ("scale", "factor", "offset"), [("unit", 1 / 255, 0.0), ("standard", 0.02, -1.5)]
)
def test_a_scale_is_a_factor_and_an_offset(
    folder: Path, scale: str, factor: float, offset: float
) -> None:
    data = load_training_data(folder, scale)
    scaled = data.scale.apply(data.x_train)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(
        scaled, np.asarray(data.x_train, np.float64) * factor + offset, atol=1e-6
    )


def test_test_images_are_not_read(tmp_path: Path) -> None:
    whole = write_folder(tmp_path / "whole")
    (whole / "test").mkdir()
    (whole / "test" / "x.npy").write_bytes(b"no array at all")
    load_training_data(whole, "unit")


def test_an_unknown_scale_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(
        RequestError, match="unknown scale 'standart': must be one of unit, standard, none"
    ):
        load_training_data(folder, "standart")


@pytest.mark.parametrize("file", ["meta.json", "x_train.npy", "y_validation.npy"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    (write_folder(tmp_path / "part") / file).unlink()
    with pytest.raises(
        RequestError, match=rf"must be complete, but .*{file} is not: .*prepare the data again"
    ):
        load_training_data(tmp_path / "part", "unit")


@pytest.mark.parametrize("file", ["meta.json", "x_train.npy", "y_validation.npy"])
@pytest.mark.parametrize("planted", ["a pipe", "a device", "a link", "a folder", "an archive"])
def test_what_is_planted_for_an_array_is_not_opened(
    tmp_path: Path, file: str, planted: str
) -> None:
    path = write_folder(tmp_path / "part") / file
    path.rename(aside := tmp_path / "aside")
    match planted:
        case "a pipe":
            os.mkfifo(path)
        case "a device":
            path.symlink_to("/dev/zero")
        case "a link":
            path.symlink_to(aside)
        case "a folder":
            path.mkdir()
        case "an archive":
            with path.open("wb") as archive:
                np.savez(archive, x=np.zeros(3))
    with (
        time_limit(10),
        pytest.raises(RequestError, match=rf"must be complete, but .*{file} is not: "),
    ):
        load_training_data(tmp_path / "part", "unit")


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("x_train.npy", np.zeros((150, 7, 8, 1), np.uint8)),
        ("x_train.npy", np.zeros((150, *SHAPE), np.float64)),
        ("y_train.npy", np.zeros(149, np.int32)),
        ("y_train.npy", np.zeros(150, np.int64)),
        ("x_validation.npy", np.array([{}], object)),
    ],
)
def test_an_invalid_array_is_refused(tmp_path: Path, file: str, array: np.ndarray) -> None:
    np.save(write_folder(tmp_path / "wrong") / file, array, allow_pickle=True)
    with pytest.raises(RequestError, match=rf"must be complete, but .*{file} is not"):
        load_training_data(tmp_path / "wrong", "unit")


def test_targets_without_their_offset_can_be_had_with_it(rows: Path, tmp_path: Path) -> None:
    plain = load_training_data(rows, "none")
    offset = [1_000.25, 0.0]
    folder = write_rows(tmp_path / "centred")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"target_offset": offset}))
    centred = load_training_data(folder, "none")
    assert centred.target_offset is not None
    assert (centred.target_offset.dtype, centred.target_offset.tolist()) == (np.float64, offset)
    assert np.array_equal(centred.y_train, plain.y_train)
    whole = load_training_data(folder, "none", centred=False)
    assert whole.target_offset is None
    assert whole.y_validation.dtype == np.float32
    np.testing.assert_allclose(whole.y_validation, plain.y_validation + offset, rtol=1e-6)
    np.testing.assert_allclose(whole.y_train, plain.y_train + offset, rtol=1e-6)


@pytest.mark.parametrize("centred", [True, False])
def test_other_targets_have_no_offset(rows: Path, folder: Path, centred: bool) -> None:
    for path in (rows, folder):
        data = load_training_data(path, "none", centred=centred)
        assert data.target_offset is None
        assert np.array_equal(data.y_train, np.load(path / "y_train.npy"))
