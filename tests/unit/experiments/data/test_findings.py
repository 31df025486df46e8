"""Warnings from the numbers of a data set, and the right data that draw none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.models.tasks import Task
from tests.helpers.own_data import prepare_arrays

Array = np.ndarray[Any, Any]

RANDOM = np.random.default_rng(0)
LABELS = np.arange(300) % 2
IMAGES = RANDOM.integers(0, 256, (300, 8, 8)).astype(np.uint8)
SPARSE = np.where(RANDOM.uniform(size=IMAGES.shape) < 0.8, 0, IMAGES).astype(np.uint8)
ROWS = RANDOM.normal(size=(300, 6))
TAILS = RANDOM.standard_cauchy(size=(300, 6))


def in_parts(x: Array, val: Array | None = None, y: Array = LABELS) -> dict[str, Array]:
    """Return 200 training, 60 validation and 40 test examples; `val` replaces the validation x."""
    val = x[200:260] if val is None else val
    return {
        **{"x_train": x[:200], "y_train": y[:200], "x_test": x[260:], "y_test": y[260:]},
        **{"x_val": val, "y_val": y[200 : 200 + len(val)]},
    }


def warnings_of(
    arrays: dict[str, Array], folder: Path, task: Task = "classification", **keys: Any
) -> tuple[str, ...]:
    data = prepare_arrays(arrays, folder, task, **keys)
    found = {data.find_warnings(scale) for scale in data.scales}
    assert len(found) == 1, "the numbers are wrong with every scale"
    [lines] = found
    assert not any("\n" in line for line in lines)
    return lines


OTHER_RANGES: dict[str, dict[str, Array]] = {
    "training images divided": in_parts(IMAGES / 255, IMAGES[200:260] * 1.0),
    "training images divided, validation bytes": in_parts(IMAGES / 255, IMAGES[200:260]),
    "validation images divided": in_parts(IMAGES * 1.0, IMAGES[200:260] / 255),
    "sparse training images divided": in_parts(SPARSE / 255, SPARSE[200:260] * 1.0),
    "training rows standardised": in_parts(ROWS, ROWS[200:260] * 50 + 900),
    "validation rows standardised": in_parts(ROWS * 50 + 900, ROWS[200:260]),
    "validation rows around another mean": in_parts(ROWS, ROWS[200:260] + 100),
    "validation rows in thousands": in_parts(ROWS * 1000, ROWS[200:260]),
}


@pytest.mark.parametrize("name", OTHER_RANGES)
def test_validation_inputs_in_another_range_draw_a_warning(name: str, tmp_path: Path) -> None:
    [warning] = warnings_of(OTHER_RANGES[name], tmp_path)
    assert warning.startswith("x_val does not have the range of x_train: it runs from ")
    assert warning.endswith("scale both in the same way.")


def test_the_warning_shows_the_numbers_of_the_user(tmp_path: Path) -> None:
    [warning] = warnings_of(OTHER_RANGES["training images divided"], tmp_path)
    assert "it runs from 0 to 255, x_train from 0 to 1;" in warning


ALIKE: dict[str, dict[str, Array]] = {
    "images": in_parts(IMAGES),
    "divided images": in_parts(IMAGES / 255),
    "sparse images": in_parts(SPARSE),
    "darker images": in_parts(IMAGES, IMAGES[200:260] // 4),
    "rows": in_parts(ROWS),
    "heavy tails": in_parts(TAILS),
    "heavy tails of one feature": in_parts(TAILS[:, :1]),
    "an outlier of one row": in_parts(
        ROWS, np.where(np.arange(60)[:, None] == 5, 1e6, ROWS[200:260])
    ),
    "an outlier in training": in_parts(np.where(np.arange(300)[:, None] == 5, 1e6, ROWS)),
    "a feature that is constant in training": in_parts(
        np.c_[ROWS, np.arange(300) >= 200].astype(float)
    ),
    "mostly zeros": in_parts(np.where(RANDOM.uniform(size=ROWS.shape) < 0.97, 0, ROWS)),
    "later years": in_parts(np.c_[1990 + np.arange(300) // 20, ROWS]),
    "one feature that varies more": in_parts(ROWS, ROWS[200:260] * [50, 1, 1, 1, 1, 1]),
    "two similar validation rows": in_parts(ROWS, ROWS[200] + [[0.0], [1e-3]]),
    "one validation row": in_parts(ROWS, ROWS[200:201]),
    "a few validation rows": in_parts(TAILS, TAILS[200:204]),
}


@pytest.mark.parametrize("name", ALIKE)
def test_validation_inputs_in_the_same_range_draw_none(name: str, tmp_path: Path) -> None:
    assert warnings_of(ALIKE[name], tmp_path) == ()


@pytest.mark.parametrize("rows", [ROWS, TAILS, ROWS[:, :1]], ids=["rows", "tails", "one"])
def test_a_split_of_the_training_set_draws_none(rows: Array, tmp_path: Path) -> None:
    arrays = {name: x for name, x in in_parts(rows).items() if not name.endswith("_val")}
    assert warnings_of(arrays, tmp_path) == ()


@pytest.mark.parametrize(
    ("x", "number"),
    [
        (np.zeros((300, 8, 8), np.uint8), "0"),
        (np.full((300, 5), 2.5), "2.5"),
        (np.full((300, 8, 8, 3), 255, np.uint8), "255"),
    ],
)
def test_inputs_that_are_one_number_draw_a_warning(x: Array, number: str, tmp_path: Path) -> None:
    [warning] = warnings_of(in_parts(x), tmp_path)
    assert warning.startswith(f"every number of x_train is {number}:")


def test_inputs_with_one_other_number_draw_none(tmp_path: Path) -> None:
    x = np.zeros((300, 5))
    x[7, 2] = 1
    assert warnings_of(in_parts(x), tmp_path) == ()


NUMBERS: dict[str, Array] = {
    "prices": 100_000 + np.arange(300) // 2 % 75 * 1_000,
    "temperatures": np.arange(300) % 40 * 2 - 30,
    "years with gaps": 1900 + np.arange(300) % 50 * 2,
}
CLASSES: dict[str, Array] = {
    "two": LABELS,
    "numbered from 0": np.arange(300) % 60,
    "numbered from 1": np.arange(300) % 60 + 1,
    "few with gaps": np.arange(300) % 15 * 7,
    "many examples each": np.arange(300) % 25 * 3,
    "texts": (100_000 + np.arange(300) % 75 * 1_000).astype(str),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_integers_that_look_like_numbers_to_predict_draw_a_warning(
    name: str, tmp_path: Path
) -> None:
    [warning] = warnings_of(in_parts(ROWS, y=NUMBERS[name]), tmp_path)
    assert warning.endswith("if they are numbers to predict, set task = 'regression'.")
    assert f"from {NUMBERS[name].min()} to {NUMBERS[name].max()} " in warning


@pytest.mark.parametrize("name", CLASSES)
def test_class_numbers_draw_none(name: str, tmp_path: Path) -> None:
    y = CLASSES[name]
    arrays = in_parts(ROWS, y=y) | {"x_train": ROWS, "y_train": y}
    assert warnings_of(arrays, tmp_path) == ()


def test_few_labels_are_classes_however_few_examples_they_have(tmp_path: Path) -> None:
    y = np.arange(300) % 15 * 7
    arrays = in_parts(ROWS, y=y) | {"x_train": ROWS[:45], "y_train": y[:45]}
    assert warnings_of(arrays, tmp_path) == ()


def test_numbers_to_predict_draw_none(tmp_path: Path) -> None:
    assert warnings_of(in_parts(ROWS, y=NUMBERS["prices"]), tmp_path, "regression") == ()


@pytest.mark.parametrize(
    ("arrays", "kind", "range_", "scaled"),
    [
        (in_parts(IMAGES), "uint8", (0, 255), {"unit": (0, 1), "none": (0, 255)}),
        (
            in_parts(np.linspace(-2, 6, 600).reshape(300, 2)),
            "float64",
            (-2, 6),
            {"unit": (0, 1), "none": (-2, 6)},
        ),
    ],
)
def test_the_facts_are_those_of_the_training_inputs(
    arrays: dict[str, Array],
    kind: str,
    range_: tuple[float, float],
    scaled: dict[str, tuple[float, float]],
    tmp_path: Path,
) -> None:
    arrays = arrays | {"x_train": arrays["x_train"].copy()}
    flat = arrays["x_train"].reshape(len(arrays["x_train"]), -1)
    flat[0], flat[1] = range_
    data = prepare_arrays(arrays, tmp_path)
    assert (data.input_type, data.input_range) == (kind, range_)
    for scale, expected in scaled.items():
        assert data.scaled_ranges[scale] == pytest.approx(expected, abs=1e-6)
    assert data.class_counts == (100, 100)
    assert sum(data.class_counts) == data.train_images


@pytest.mark.parametrize("seed", range(4))
def test_the_range_is_that_of_the_examples_that_train(seed: int, tmp_path: Path) -> None:
    x = np.where(np.arange(300) < 250, 0.5, np.linspace(0, 1, 300))[:, np.newaxis]
    arrays = {"x_train": x, "y_train": LABELS, "x_test": x, "y_test": LABELS}
    data = prepare_arrays(arrays, tmp_path, validation=200, split_seed=seed)
    trained = np.load(data.folder / "x_train.npy")
    assert trained.max() < 1
    assert data.input_range == pytest.approx((trained.min(), trained.max()))


WITHOUT_LABEL = np.where(np.arange(300) % 50 == 0, np.nan, LABELS)
MISSING_LABELS: dict[str, Array] = {
    "cast to integers": np.where(np.isnan(WITHOUT_LABEL), np.iinfo(np.int64).min, LABELS),
    "cast to 32 bits": np.where(np.isnan(WITHOUT_LABEL), np.iinfo(np.int32).min, LABELS).astype(
        np.int32
    ),
    "as text": np.where(np.isnan(WITHOUT_LABEL), "nan", LABELS.astype(str)),
    "empty text": np.where(np.isnan(WITHOUT_LABEL), "", LABELS.astype(str)),
}


@pytest.mark.parametrize("name", MISSING_LABELS)
def test_missing_labels_that_became_a_class_draw_a_warning(name: str, tmp_path: Path) -> None:
    y = MISSING_LABELS[name]
    [warning] = warnings_of(in_parts(ROWS, y=y), tmp_path)
    assert warning.startswith(f"4 labels of y_train are {y[0].item()!r}, as missing ones become")


@pytest.mark.parametrize(
    "y",
    [LABELS - 1, np.where(LABELS, "none", "n/a"), (LABELS - 128).astype(np.int8)],
    ids=["negative", "words", "the smallest byte"],
)
def test_labels_that_look_like_missing_ones_draw_none(y: Array, tmp_path: Path) -> None:
    assert warnings_of(in_parts(ROWS, y=y), tmp_path) == ()


@pytest.mark.parametrize(
    ("y", "is_said"),
    [(np.full(300, 7.5), True), (np.zeros(300, int), True), (LABELS * 1.0, False)],
)
def test_targets_without_a_difference_draw_a_warning(
    y: Array, is_said: bool, tmp_path: Path
) -> None:
    found = warnings_of(in_parts(ROWS, y=y), tmp_path, "regression")
    assert ["there is nothing to learn" in line for line in found] == [True] * is_said
