"""Generated data sets, compared with values computed by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import GENERATED_SETS, DataSettings
from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import read_prepared_meta
from assay.experiments.data.sources.generated import GeneratedSource
from assay.experiments.data.sources.toy_sets import (
    HALF_SPACES,
    QUADRANTS,
    RING,
    THREE_DISCS,
    Region,
    absolute,
    line,
    runge,
    sine,
    step,
)

Array = np.ndarray[Any, Any]

CLASSES = [name for name, kind in GENERATED_SETS.items() if kind.task == "classification"]
REGIONS = {"quadrants": QUADRANTS, "ring": RING, "modes": THREE_DISCS, "half-spaces": HALF_SPACES}
FUNCTIONS = {"line": line, "sine": sine, "step": step, "absolute": absolute, "runge": runge}


def drawn(name: str, samples: int = 400, noise: float | None = None, seed: int = 0) -> SourceArrays:
    return GeneratedSource(name, samples, noise, seed).load()


def same(first: SourceArrays, second: SourceArrays) -> list[bool]:
    return [np.array_equal(array, getattr(second, name)) for name, array in first.items()]


@pytest.mark.parametrize("name", GENERATED_SETS)
def test_the_seed_determines_the_points(name: str) -> None:
    assert all(same(drawn(name), drawn(name)))
    first, other = drawn(name, seed=1), drawn(name, seed=2)
    assert not np.array_equal(first.x_train, other.x_train)
    assert not np.array_equal(first.x_test, other.x_test)


@pytest.mark.parametrize("name", GENERATED_SETS)
def test_training_and_test_points_are_disjoint(name: str) -> None:
    arrays = drawn(name)
    # A single 24-bit number may repeat by chance; a pair does not.
    shared = len(
        {row.tobytes() for row in arrays.x_train} & {row.tobytes() for row in arrays.x_test}
    )
    assert shared <= (0 if arrays.x_train.shape[1] == 2 else 5)


@pytest.mark.parametrize("name", GENERATED_SETS)
def test_test_points_do_not_depend_on_the_number_of_training_points(name: str) -> None:
    few, many = drawn(name, samples=50), drawn(name, samples=400)
    assert (len(few.x_train), len(many.x_train)) == (50, 400)
    assert np.array_equal(few.x_test, many.x_test)
    assert np.array_equal(few.y_test, many.y_test)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("samples", [4, 400, 401, 402])
def test_classes_are_balanced(name: str, samples: int) -> None:
    counts = np.bincount(drawn(name, samples=samples).y_train)
    assert abs(counts[0] - counts[1]) <= (2 if name == "xor" else 1)


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        (QUADRANTS, [(0.5, 0.5), (-0.1, -0.9)], [(0.5, -0.5), (-0.1, 0.9)]),
        (
            RING,
            [(1.0, 0.0), (0.0, -2.0), (1.0, 1.0)],
            [(0.0, 0.0), (0.5, 0.5), (2.0, 1.0), (-2.9, 2.9)],
        ),
        (
            THREE_DISCS,
            [(0.0, 1.5), (-1.0, -1.0), (1.0, -0.5)],
            [(0.0, 0.0), (0.0, -1.0), (1.9, 1.9)],
        ),
        (
            HALF_SPACES,
            [(0.0, 0.0), (0.9, 0.0), (-0.4, 0.5)],
            [(0.9, 0.2), (-0.6, 0.5), (-0.9, -0.9), (0.6, -0.5)],
        ),
    ],
    ids=REGIONS,
)
def test_a_region_contains_the_points_computed_by_hand(
    region: Region, inside: list[tuple[float, float]], outside: list[tuple[float, float]]
) -> None:
    assert region.contains(np.array(inside, np.float32)).all()
    assert not region.contains(np.array(outside, np.float32)).any()


@pytest.mark.parametrize("name", REGIONS)
def test_without_noise_the_class_of_a_point_is_its_region(name: str) -> None:
    arrays = drawn(name, samples=2_000)
    for x, y in ((arrays.x_train, arrays.y_train), (arrays.x_test, arrays.y_test)):
        assert np.array_equal(REGIONS[name].contains(x), y == 1)
        assert np.abs(x).max() <= REGIONS[name].half_width
        assert np.abs(x).max(axis=0) == pytest.approx(REGIONS[name].half_width, rel=0.05)


def test_noise_does_not_change_the_class_of_a_point() -> None:
    still, moved = drawn("ring"), drawn("ring", noise=0.2)
    assert np.array_equal(still.y_train, moved.y_train)
    distance = (moved.x_train - still.x_train).std()
    assert distance == pytest.approx(0.2, rel=0.1)
    assert not np.array_equal(RING.contains(moved.x_train), moved.y_train == 1)


def test_xor_is_four_clusters_and_the_class_is_whether_the_signs_agree() -> None:
    corners = drawn("xor", noise=0.0)
    assert {tuple(corner) for corner in corners.x_train.tolist()} == {
        (1, 1),
        (1, -1),
        (-1, 1),
        (-1, -1),
    }
    assert np.array_equal(corners.y_train == 1, corners.x_train[:, 0] == corners.x_train[:, 1])
    spread = drawn("xor", samples=4_000)
    assert np.abs(np.abs(spread.x_train).mean() - 1) < 0.02
    assert (spread.x_train - np.sign(spread.x_train)).std() == pytest.approx(0.3, rel=0.05)


def test_circles_and_moons_have_the_geometry_of_scikit_learn() -> None:
    circles, moons = drawn("circles", noise=1e-4), drawn("moons", noise=1e-4)
    radius = np.linalg.norm(circles.x_train, axis=1)
    np.testing.assert_allclose(radius, np.where(circles.y_train == 1, 0.5, 1.0), atol=1e-3)
    centre = np.where(moons.y_train[:, np.newaxis] == 1, [1.0, 0.5], [0.0, 0.0])
    np.testing.assert_allclose(np.linalg.norm(moons.x_train - centre, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("line", {-1: -1, 0: 1, 0.5: 2}),
        ("sine", {-0.75: 1, 0: 0, 0.25: 1, 0.5: 0}),
        ("step", {-1: 0, -1e-9: 0, 0: 1, 1: 1}),
        ("absolute", {-0.5: 0.5, 0: 0, 1: 1}),
        ("runge", {0: 1, 0.2: 0.5, -1: 1 / 26}),
    ],
)
def test_a_function_has_the_values_computed_by_hand(name: str, points: dict[float, float]) -> None:
    x = np.array(list(points))
    np.testing.assert_allclose(FUNCTIONS[name](x), list(points.values()), atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_targets_are_the_function_plus_noise(name: str) -> None:
    exact = drawn(name, noise=0.0)
    truth = FUNCTIONS[name](exact.x_train[:, 0].astype(np.float64))
    assert np.array_equal(exact.y_train, truth.astype(np.float32))
    assert -1 <= exact.x_train.min() < -0.9 < 0.9 < exact.x_train.max() <= 1
    noisy = drawn(name, samples=4_000)
    rest = noisy.y_train - FUNCTIONS[name](noisy.x_train[:, 0].astype(np.float64))
    assert rest.std() == pytest.approx(GENERATED_SETS[name].noise, rel=0.05)
    assert abs(rest.mean()) < 4 * GENERATED_SETS[name].noise / math.sqrt(4_000)


@pytest.mark.parametrize("key", [{"samples": 41}, {"noise": 0.25}, {"seed": 1}])
def test_every_key_changes_the_data_set(key: dict[str, float], tmp_path: Path) -> None:
    def digest(**keys: Any) -> tuple[str, str]:
        folder = ensure_prepared(
            DataSettings(name="xor", **{"samples": 40, **keys}), tmp_path, tmp_path, tmp_path
        )
        meta = read_prepared_meta(folder)
        assert meta is not None
        return folder.name, meta.digest

    assert all(first != second for first, second in zip(digest(), digest(**key), strict=True))
