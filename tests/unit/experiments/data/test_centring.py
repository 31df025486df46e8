"""Numbers that float32 cannot hold: what is stored instead, and what is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data.centring import subtract
from assay.models.data import load_training_data
from tests.helpers.own_data import prepare_arrays, scaled_inputs, with_test

Array = np.ndarray[Any, Any]

RANDOM = np.random.default_rng(0)
SECONDS = RANDOM.uniform(0, 50, 240)
STEPS = RANDOM.integers(0, 50, 240)
LABELS = np.arange(240) % 2

OFFSETS: dict[str, tuple[Array, Array]] = {
    "Unix times": (1.7e9 + SECONDS, SECONDS),
    "negative": (-1.7e9 + SECONDS, SECONDS),
    "nanoseconds in int64": (1_700_000_000_000_000_000 + STEPS, STEPS),
    "a power of two in int64": (2**60 + STEPS, STEPS),
    "uint64 beyond int64": ((np.uint64(2**63 + 2**20) + STEPS.astype(np.uint64)), STEPS),
    "latitudes": (48.1 + SECONDS * 1e-7, SECONDS),
    "keys below 2**24": (16_000_000 + STEPS % 4, STEPS % 4),
    "float32": ((1e6 + STEPS * 0.0625).astype(np.float32), STEPS),
    "neighbours in float32": ((1e6 + LABELS * 0.0625).astype(np.float32), LABELS),
}
"""Numbers that lose part of what distinguishes them, and the same counted from another origin."""

HARMLESS: dict[str, Array] = {
    "fractions": SECONDS / 50,
    "large and spread": SECONDS * 1e9,
    "years": 1990 + STEPS,
    "keys": 100_000 + STEPS,
    "small integers": STEPS.astype(np.int16),
    "a constant": np.full(240, 1.7e9),
    "a constant with rounding noise": 0.1 + SECONDS * 1e-17,
    "one outlier": np.where(np.arange(240) == 3, 1.7e9, SECONDS),
    "rare ones": (np.arange(240) == 7).astype(float),
    "float32 pixels": (STEPS / 255).astype(np.float32),
}


def rows(feature: Array) -> Array:
    """Return rows of a feature beside one that needs nothing."""
    beside = np.linspace(0, 1, len(feature)).astype(np.float32)
    if feature.dtype.kind in "iu":
        return np.stack([feature, (beside * 100).astype(feature.dtype)], axis=1)
    return np.stack([feature, beside.astype(feature.dtype)], axis=1)


@pytest.mark.parametrize("name", OFFSETS)
@pytest.mark.parametrize("scale", ["unit", "standard"])
def test_numbers_are_learned_as_if_they_were_counted_from_another_origin(
    name: str, scale: str, tmp_path: Path
) -> None:
    seen = []
    for kind, feature in zip(("offset", "plain"), OFFSETS[name], strict=True):
        (tmp_path / kind).mkdir()
        data = prepare_arrays(with_test(rows(feature), LABELS), tmp_path / kind)
        seen.append(scaled_inputs(data, scale))
    for part in ("train", "validation"):
        np.testing.assert_allclose(seen[0][part][:, 0], seen[1][part][:, 0], atol=2e-3)


@pytest.mark.parametrize("name", HARMLESS)
def test_numbers_that_lose_nothing_are_stored_as_they_are(name: str, tmp_path: Path) -> None:
    feature = HARMLESS[name]
    data = prepare_arrays(with_test(feature[:, np.newaxis], LABELS), tmp_path)
    assert data.centre is None
    assert data.changed_numbers == {}
    stored = [np.load(data.folder / f"{part}.npy") for part in ("x_train", "x_validation")]
    assert sorted(np.concatenate(stored)[:, 0].tolist()) == sorted(
        feature[:200].astype(np.float32).tolist()
    )
    for scale in data.scales:
        assert data.raw_scale(scale) == data.scales[scale]
        assert [line for line in data.find_warnings(scale) if "float32" in line] == []


def test_only_the_features_that_need_it_are_centred(tmp_path: Path) -> None:
    x = rows(OFFSETS["Unix times"][0])
    data = prepare_arrays(with_test(x, LABELS), tmp_path)
    assert data.centre is not None
    assert (abs(data.centre[0] - 1.7e9) < 50, data.centre[1]) == (True, 0)
    stored = np.load(data.folder / "test" / "x.npy")
    assert np.array_equal(stored, (x[200:] - np.array(data.centre)).astype(np.float32))
    assert np.array_equal(stored[:, 1], x[200:, 1].astype(np.float32))


@pytest.mark.parametrize("name", ["Unix times", "negative", "latitudes", "float32"])
@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_the_recorded_scale_is_for_the_numbers_as_they_are(
    name: str, scale: str, tmp_path: Path
) -> None:
    x = rows(OFFSETS[name][0])
    data = prepare_arrays(with_test(x, LABELS), tmp_path)
    raw = data.raw_scale(scale)
    by_hand = x[:200].astype(np.float64) * raw.factor + raw.offset
    seen = scaled_inputs(data, scale)
    order = np.argsort(np.concatenate([seen["train"], seen["validation"]])[:, 1])
    ours = np.concatenate([seen["train"], seen["validation"]])[order]
    np.testing.assert_allclose(ours, by_hand[np.argsort(by_hand[:, 1])], atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("Unix times", "128"),
        ("nanoseconds in int64", "1.37439e+11"),
        ("a power of two in int64", "1.37439e+11"),
        ("latitudes", "3.8147e-06"),
    ],
)
def test_none_gives_the_numbers_themselves_with_a_warning_where_that_rounds(
    name: str, steps: str, tmp_path: Path
) -> None:
    x = rows(OFFSETS[name][0])
    data = prepare_arrays(with_test(x, LABELS), tmp_path)
    seen = scaled_inputs(data, "none")["train"]
    middle = float(x[0, 0])
    assert np.abs(seen[:, 0].astype(np.float64) - middle).max() <= 1.1 * float(steps) + 1e-5
    [warning] = data.find_warnings("none")
    assert "scale = 'none'" in warning
    assert f"x_train[..., 0] to float32, in steps of {steps}:" in warning
    assert "\n" not in warning
    assert data.find_warnings("unit") == data.find_warnings("standard") == ()


@pytest.mark.parametrize("name", ["float32", "neighbours in float32", "keys below 2**24"])
def test_none_gives_numbers_that_float32_holds_unchanged(name: str, tmp_path: Path) -> None:
    x = rows(OFFSETS[name][0])
    # Half of the training examples in each class: their mean may lie between two float32 numbers.
    data = prepare_arrays(with_test(x, LABELS), tmp_path, validation=40)
    assert data.centre is not None
    seen = scaled_inputs(data, "none")
    both = np.concatenate([seen["train"], seen["validation"]])[:, 0]
    assert sorted(both.tolist()) == sorted(x[:200, 0].tolist())
    assert data.find_warnings("none") == ()


def test_all_pixels_of_images_share_one_centre(tmp_path: Path) -> None:
    x = 1e7 + RANDOM.normal(size=(120, 6, 6, 3)) * 0.1
    data = prepare_arrays(with_test(x, LABELS[:120]), tmp_path)
    assert data.centre is not None
    assert len(data.centre) == 1
    seen = scaled_inputs(data)
    assert (seen["train"].min(), seen["train"].max()) == pytest.approx((0, 1), abs=1e-6)
    raw = data.raw_scale("unit")
    assert len(set(raw.offset)) == 1
    assert len(raw.offset) == 3
    by_hand = x[:100] * raw.factor + raw.offset
    assert seen["train"].mean() == pytest.approx(by_hand.mean(), abs=0.02)
    assert len(np.unique(np.load(data.folder / "x_train.npy"))) > 8_000


def test_each_feature_of_a_sequence_has_its_centre(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(120, 5, 2))
    x[:, :, 1] += 1e9
    data = prepare_arrays(with_test(x, LABELS[:120]), tmp_path, layout="sequence")
    assert data.centre is not None
    assert (data.centre[0], data.centre[1] == pytest.approx(1e9)) == (0, True)


def test_the_centre_is_fitted_on_the_training_examples_alone(tmp_path: Path) -> None:
    x = rows(1.7e9 + SECONDS)
    arrays = with_test(x, LABELS)
    own = arrays | {"x_val": x[:40] + 1000, "y_val": LABELS[:40]}
    data = prepare_arrays(own, tmp_path)
    assert data.centre is not None
    assert data.centre[0] == pytest.approx(arrays["x_train"][:, 0].mean(), abs=1e-6)


@pytest.mark.parametrize("kind", ["int64", "uint64", ">i8", "int32", "float64"])
def test_a_difference_is_exact(kind: str) -> None:
    x = np.array([[2**30 + 1], [2**30 + 5]]).astype(kind)
    assert subtract(x, np.array([2.0**30])).tolist() == [[1.0], [5.0]]


def test_a_difference_of_large_integers_is_exact_and_may_be_negative() -> None:
    x = np.array([[2**63 - 3], [-(2**63) + 1], [5]], np.int64)
    assert subtract(x, np.array([2.0**62])).tolist()[0] == [2.0**62 - 3]
    assert subtract(x, np.array([2.0**62])).tolist()[1:] == [[-1.5 * 2**63 + 1], [5 - 2.0**62]]
    ids = np.array([[2**64 - 1], [2**64 - 9]], np.uint64)
    assert subtract(ids, ids[1]).tolist() == [[8.0], [0.0]]
    assert subtract(ids, np.array([2.0**64 - 2048])).tolist() == [[2047.0], [2039.0]]


TARGETS: dict[str, Array] = {
    "years": (1970 + STEPS % 30).astype(np.int64),
    "Unix times": 1.7e9 + SECONDS,
    "pressures": 101_325 + SECONDS,
    "nanoseconds": 1_700_000_000_000_000_000 + STEPS,
    "negative": -5_000.0 - SECONDS / 10,
}
PLAIN_TARGETS: dict[str, Array] = {
    "around 0": SECONDS - 25,
    "prices": 200_000 + 10_000 * SECONDS,
    "one constant": np.full(240, 1e6),
    "twenty deviations": 300 + SECONDS,
    "fractions": (SECONDS / 50).astype(np.float32),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_with_a_large_offset_are_stored_without_it(name: str, tmp_path: Path) -> None:
    y = np.stack([TARGETS[name], TARGETS[name] % 2], axis=1)
    data = prepare_arrays(with_test(SECONDS[:, np.newaxis], y), tmp_path, "regression")
    assert data.target_offset is not None
    assert data.target_offset[1] == 0
    assert set(data.changed_numbers) == {"targets"}
    loaded = load_training_data(data.folder, "unit")
    assert loaded.target_offset is not None
    assert (loaded.target_offset.dtype, loaded.target_offset.shape) == (np.float64, (2,))
    stored = np.concatenate([loaded.y_train, loaded.y_validation])
    assert stored.dtype == np.float32
    assert abs(stored[:, 0].mean()) < 200  # float64 has steps of 256 at a nanosecond of today
    assert len(np.unique(stored[:, 0])) == len(np.unique(y[:200, 0]))
    back = sorted(stored[:, 0].astype(np.float64) + data.target_offset[0])
    np.testing.assert_allclose(back, sorted(y[:200, 0].astype(np.float64)), rtol=1e-12, atol=1e-5)
    test = np.load(data.folder / "test" / "y.npy")
    assert np.array_equal(test, subtract(y[200:], np.array(data.target_offset)).astype(np.float32))


@pytest.mark.parametrize("name", PLAIN_TARGETS)
def test_other_targets_are_stored_as_they_are(name: str, tmp_path: Path) -> None:
    y = PLAIN_TARGETS[name]
    data = prepare_arrays(with_test(SECONDS[:, np.newaxis], y), tmp_path, "regression")
    assert data.target_offset is None
    assert data.changed_numbers == {}
    loaded = load_training_data(data.folder, "unit")
    assert loaded.target_offset is None
    both = np.concatenate([loaded.y_train, loaded.y_validation])[:, 0]
    assert sorted(both) == sorted(y[:200].astype(np.float32))


def test_targets_can_be_loaded_with_their_offset(tmp_path: Path) -> None:
    y = 1.7e9 + SECONDS * 100
    data = prepare_arrays(with_test(SECONDS[:, np.newaxis], y), tmp_path, "regression")
    assert load_training_data(data.folder, "unit").target_offset is not None
    loaded = load_training_data(data.folder, "unit", centred=False)
    assert loaded.target_offset is None
    assert loaded.y_train.dtype == loaded.y_validation.dtype == np.float32
    both = np.concatenate([loaded.y_train, loaded.y_validation])[:, 0]
    assert sorted(both) == sorted(y[:200].astype(np.float32))
    assert loaded.y_train.shape == (data.train_images, 1)
