"""Layouts of x in npz:PATH: recognised, requested, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import DataSettings, count_training_images, read_input_shape
from assay.models.architectures.registry import FAMILIES
from assay.models.errors import RequestError
from assay.models.training.augmentation import check_augmentation
from assay.models.training.config import TrainSettings
from tests.helpers.own_data import prepare_arrays, scaled_inputs, with_test

Array = np.ndarray[Any, Any]

RANDOM = np.random.default_rng(0)


def make_inputs(shape: tuple[int, ...], kind: str) -> Array:
    """Return 60 inputs of a shape: 0 to 255 for uint8, else with negative numbers."""
    if kind == "uint8":
        return RANDOM.integers(0, 256, (60, *shape)).astype(np.uint8)
    if kind.startswith("positive "):
        return RANDOM.uniform(0, 1, (60, *shape)).astype(kind.removeprefix("positive "))
    return (RANDOM.normal(size=(60, *shape)) * 100).astype(kind)


def arrays_of(shape: tuple[int, ...], kind: str) -> dict[str, Array]:
    return with_test(make_inputs(shape, kind), np.arange(60) % 2)


READ: list[tuple[tuple[int, ...], str, str | None, tuple[int, ...], str | None]] = [
    ((7,), "float64", None, (7,), None),
    ((5, 6), "uint8", None, (5, 6, 1), "channels_last"),
    ((12, 5), "uint8", "sequence", (12, 5), "sequence"),
    ((12, 5), "float32", "sequence", (12, 5), "sequence"),
    ((8, 8), "int64", "sequence", (8, 8), "sequence"),
    ((28, 28), "positive float32", None, (28, 28, 1), "channels_last"),
    ((8, 8), "bool", None, (8, 8, 1), "channels_last"),
    ((12, 5), "float32", "channels_last", (12, 5, 1), "channels_last"),
    ((32, 32, 3), "uint8", None, (32, 32, 3), "channels_last"),
    ((6, 7, 1), "float64", None, (6, 7, 1), "channels_last"),
    ((3, 16, 4), "uint8", None, (3, 16, 4), "channels_last"),
    ((9, 9, 12), "float32", None, (9, 9, 12), "channels_last"),
    ((3, 9, 10), "uint8", "channels_first", (9, 10, 3), "channels_first"),
    ((12, 9, 10), "float32", "channels_first", (9, 10, 12), "channels_first"),
    ((3, 9, 10), "uint8", "channels_last", (3, 9, 10), "channels_last"),
]
"""Shape of one input, type, [data] layout; shape as prepared, layout as recorded."""


@pytest.mark.parametrize(("shape", "kind", "requested", "expected", "layout"), READ)
def test_inputs_are_read_in_their_layout(
    shape: tuple[int, ...],
    kind: str,
    requested: str | None,
    expected: tuple[int, ...],
    layout: str | None,
    tmp_path: Path,
) -> None:
    arrays = arrays_of(shape, kind)
    data = prepare_arrays(arrays, tmp_path, layout=requested)
    assert (data.input_shape, data.layout) == (expected, layout)
    test = np.load(data.folder / "test" / "x.npy")
    whole = arrays["x_test"]
    as_read = np.moveaxis(whole, 1, -1) if layout == "channels_first" else whole
    assert np.array_equal(test, as_read.reshape(test.shape).astype(test.dtype))
    assert test.dtype == (np.uint8 if kind == "uint8" else np.float32)


@pytest.mark.parametrize(("shape", "kind", "requested", "expected", "layout"), READ)
def test_the_header_agrees_with_what_is_prepared(
    shape: tuple[int, ...],
    kind: str,
    requested: str | None,
    expected: tuple[int, ...],
    layout: str | None,
    tmp_path: Path,
) -> None:
    np.savez(tmp_path / "own.npz", **arrays_of(shape, kind))
    settings = DataSettings.read({"name": "npz:own.npz", "layout": requested}, "[data]")
    only_numbers_tell = len(shape) == 2 and kind != "uint8" and requested is None
    found = read_input_shape(settings, tmp_path, tmp_path)
    assert found == (None if only_numbers_tell else expected)


FIRST = "looks like channels first: say layout = 'channels_first'.*or layout = 'channels_last'"
UNCLEAR = "grey images, which get a channel axis, or sequences.*layout = 'channels_last' or layout"
REFUSED: list[tuple[tuple[int, ...], str, str | None, str]] = [
    ((3, 32, 32), "uint8", None, FIRST),
    ((1, 28, 28), "float32", None, FIRST),
    ((4, 16, 9), "int64", None, FIRST),
    ((12, 5), "float32", None, UNCLEAR),
    ((28, 28), "float32", None, UNCLEAR),  # negative numbers
    ((7, 7), "positive float64", None, UNCLEAR),
    ((30, 20), "positive float32", None, UNCLEAR),
    ((12, 5), "bool", None, UNCLEAR),
    ((12, 5), "float32", "channels_first", r"is for images \(n, channels, height, width\)"),
    ((9, 9, 3), "uint8", "sequence", r"is for sequences \(n, steps, features\)"),
    ((7,), "float32", "sequence", r"received x_train of shape \(50, 7\): remove layout"),
    ((7,), "float32", "channels_last", "remove layout"),
]


@pytest.mark.parametrize(("shape", "kind", "requested", "message"), REFUSED)
def test_unclear_and_wrong_layouts_are_refused_in_one_line(
    shape: tuple[int, ...], kind: str, requested: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        prepare_arrays(arrays_of(shape, kind), tmp_path, layout=requested)
    assert "\n" not in str(caught.value)
    # The header alone does not promise a shape.
    settings = DataSettings.read({"name": "npz:own.npz", "layout": requested}, "[data]")
    assert read_input_shape(settings, tmp_path, tmp_path) is None
    assert count_training_images(settings, tmp_path, tmp_path) == 42


@pytest.mark.parametrize("name", ["digits", "mnist", "moons", "folder:pets"])
def test_only_arrays_have_a_layout(name: str) -> None:
    with pytest.raises(
        RequestError, match=r"layout is only for npz:PATH; received name = .*remove"
    ):
        DataSettings.read({"name": name, "layout": "sequence"}, "[data]")


def test_a_mistyped_layout_lists_the_layouts() -> None:
    with pytest.raises(RequestError, match="'channels_last', 'channels_first' or 'sequence'"):
        DataSettings.read({"name": "npz:a", "layout": "NCHW"}, "[data]")


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_each_feature_of_a_sequence_is_scaled_over_all_steps(kind: str, tmp_path: Path) -> None:
    x = RANDOM.integers(0, 100, (60, 6, 3))
    x[:, :, 1] *= 2
    arrays = with_test(x.astype(kind), np.arange(60) % 2)
    data = prepare_arrays(arrays, tmp_path, layout="sequence")
    for scale, lowest, highest in (("unit", 0.0, 1.0), ("standard", None, None)):
        seen = scaled_inputs(data, scale)["train"].reshape(-1, 3)
        if lowest is not None:
            np.testing.assert_allclose(seen.min(axis=0), lowest, atol=1e-6)
            np.testing.assert_allclose(seen.max(axis=0), highest, atol=1e-6)
        else:
            np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-5)


def test_another_layout_is_another_prepared_folder_of_the_same_data(tmp_path: Path) -> None:
    arrays = arrays_of((3, 9, 9), "uint8")
    first = prepare_arrays(arrays, tmp_path, layout="channels_first")
    last = prepare_arrays(arrays, tmp_path, layout="channels_last")
    assert first.folder != last.folder
    assert first.digest == last.digest
    assert first.changed_numbers == {"layout": "channels_first"}
    assert last.changed_numbers == {}


@pytest.mark.parametrize("family", ["cnn", "resnet"])
def test_convolutions_refuse_sequences(family: str) -> None:
    entry = FAMILIES[family]
    with pytest.raises(RequestError, match=r"needs images .*\(12, 5\); use .*'mlp' or 'linear'"):
        entry.check_input(entry.settings(), (12, 5))


@pytest.mark.parametrize("family", ["mlp", "linear"])
def test_dense_networks_take_sequences(family: str) -> None:
    entry = FAMILIES[family]
    entry.check_input(entry.settings(), (12, 5))
    assert entry.macs is not None
    assert entry.macs(entry.settings(), (12, 5), 2) == entry.macs(entry.settings(), (60,), 2)


@pytest.mark.parametrize("keys", [{"flip": True}, {"shift": 1}])
def test_sequences_are_not_augmented(keys: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"need images: received inputs of shape \(12, 5\)"):
        check_augmentation(TrainSettings(**keys), (12, 5))
