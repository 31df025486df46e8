"""What holds for every data set."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.data import KNOWN, DataSettings, PreparedData, prepare, training_images
from experiments.data.build import ensure
from tests.experiments.data.small_sets import make_arrays

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A data set and what it must come out as."""

    name: str
    counts: tuple[int, int, int]
    shape: tuple[int, ...]
    verified: bool
    classes: int = 10


CASES = [
    pytest.param(Case("digits", (1237, 200, 360), (8, 8, 1), verified=True), id="digits"),
    pytest.param(Case("npz:own.npz", (200, 100, 30), (4, 4, 1), verified=False, classes=3), id="npz"),
    pytest.param(
        Case("mnist", (50_000, 10_000, 10_000), (28, 28, 1), verified=True), id="mnist", marks=pytest.mark.real_data
    ),
    pytest.param(
        Case("cifar10", (40_000, 10_000, 10_000), (32, 32, 3), verified=False),
        id="cifar10",
        marks=pytest.mark.real_data,
    ),
]


@dataclass(frozen=True)
class Prepared:
    """A prepared set beside where it came from."""

    case: Case
    settings: DataSettings
    home: Path
    data_dir: Path
    base: Path
    data: PreparedData

    def load(self, name: str) -> Array:
        array: Array = np.load(self.data.folder / name, allow_pickle=False, mmap_mode="r")
        return array

    def source(self) -> dict[str, Array]:
        """The whole published arrays; of digits only their union is known, as training set."""
        if self.case.name == "digits":
            from sklearn.datasets import load_digits

            bunch = load_digits()
            return {"x_train": bunch.images.astype(np.uint8), "y_train": bunch.target}
        path = self.base / "own.npz" if self.case.name.startswith("npz:") else self.data_dir / f"{self.case.name}.npz"
        return dict(np.load(path, allow_pickle=False))


@pytest.fixture(scope="module", params=CASES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    case: Case = request.param
    base = tmp_path_factory.mktemp("base")
    data_dir = base
    if case.name in ("mnist", "cifar10"):
        data_dir = request.getfixturevalue("real_data")
        if not (data_dir / f"{case.name}.npz").exists():
            pytest.skip(f"ASSAY_DATA_DIR holds no {case.name}.npz")
    if case.name.startswith("npz:"):
        np.savez(base / "own.npz", **make_arrays(300, 30))
    settings = DataSettings(name=case.name, validation=case.counts[1])
    home = tmp_path_factory.mktemp("home")
    return Prepared(case, settings, home, data_dir, base, prepare(settings, home, data_dir, base))


def rows(*parts: Array) -> list[bytes]:
    """Images as sorted bytes: equal where the images are, in whatever order."""
    return sorted(image.tobytes() for part in parts for image in part)


def test_shapes_types_and_counts_are_as_promised(prepared: Prepared) -> None:
    data, case = prepared.data, prepared.case
    assert (data.train_images, data.validation_images, data.test_images) == case.counts
    assert data.input_shape == case.shape
    assert len(data.classes) == case.classes
    parts = ("x_train.npy", "y_train.npy"), ("x_validation.npy", "y_validation.npy"), ("test/x.npy", "test/y.npy")
    for count, (x_name, y_name) in zip(case.counts, parts, strict=True):
        x, y = prepared.load(x_name), prepared.load(y_name)
        assert x.shape == (count, *case.shape)
        assert x.dtype == np.uint8
        assert y.shape == (count,)
        assert y.dtype == np.int32
        assert set(np.unique(y)) == set(range(case.classes))


def test_every_class_validates_in_its_share_within_one_image(prepared: Prepared) -> None:
    train, validation = prepared.load("y_train.npy"), prepared.load("y_validation.npy")
    whole = np.bincount(train) + np.bincount(validation)
    share = whole * len(validation) / (len(train) + len(validation))
    assert np.abs(np.bincount(validation) - share).max() <= 1


def test_the_splits_together_are_the_training_set_each_image_once(prepared: Prepared) -> None:
    parts = [prepared.load("x_train.npy"), prepared.load("x_validation.npy")]
    if prepared.case.name == "digits":
        parts.append(prepared.load("test/x.npy"))
    assert rows(*parts) == rows(prepared.source()["x_train"])


def test_every_image_keeps_its_label(prepared: Prepared) -> None:
    source = prepared.source()
    of = {image.tobytes(): int(label) for image, label in zip(source["x_train"], source["y_train"].flat, strict=True)}
    for part in ("train", "validation"):
        x, y = prepared.load(f"x_{part}.npy"), prepared.load(f"y_{part}.npy")
        assert [of[image.tobytes()] for image in x] == y.tolist()


def test_the_test_set_lies_apart_and_is_the_published_one(prepared: Prepared) -> None:
    names = {path.name for path in prepared.data.folder.iterdir()}
    assert names == {"x_train.npy", "y_train.npy", "x_validation.npy", "y_validation.npy", "meta.json", "test"}
    if prepared.case.name != "digits":
        source = prepared.source()
        assert prepared.load("test/x.npy").tobytes() == source["x_test"].tobytes()
        assert prepared.load("test/y.npy").tolist() == source["y_test"].reshape(-1).tolist()


def test_scaling_is_fitted_on_the_training_split_alone(prepared: Prepared) -> None:
    x = prepared.load("x_train.npy")
    flat = x.reshape(-1, x.shape[-1])
    for name, scale in prepared.data.scales.items():
        assert len(scale.factor) == len(scale.offset) == x.shape[-1], name
    unit, standard, none = (prepared.data.scales[name] for name in ("unit", "standard", "none"))
    mean, deviation = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(standard.factor, 1 / deviation, rtol=1e-9)
    np.testing.assert_allclose(standard.offset, -mean / deviation, rtol=1e-9)
    assert set(unit.factor) == {1 / 16 if prepared.case.name == "digits" else 1 / 255}
    assert set(unit.offset) == {0.0}
    assert (set(none.factor), set(none.offset)) == ({1.0}, {0.0})


def test_the_split_is_decided_by_its_seed(prepared: Prepared) -> None:
    def validation(home: str, seed: int) -> Array:
        settings = prepared.settings.model_copy(update={"split_seed": seed})
        folder = ensure(settings, prepared.home / home, prepared.data_dir, prepared.base)
        x: Array = np.load(folder / "x_validation.npy")
        return x

    again, other = validation("elsewhere", 0), validation("elsewhere", 1)
    assert np.array_equal(again, prepared.load("x_validation.npy"))
    assert rows(other) != rows(again)


def test_what_was_published_is_verified_and_what_was_not_says_why(prepared: Prepared) -> None:
    data = prepared.data
    assert data.verified is prepared.case.verified
    assert (data.unverified_reason is None) is data.verified
    assert len(data.digest) == 64
    assert set(data.array_digests) == {"x_train", "y_train", "x_test", "y_test"}
    # One line to show for a set that should be the published one and is not known to be; a user's own needs none.
    assert len(data.warnings) == (prepared.case.name in KNOWN and not data.verified)


def test_the_second_time_nothing_is_started_or_written(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in prepared.data.folder.rglob("*")}

    before = state()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    again = prepare(prepared.settings, prepared.home, prepared.data_dir, prepared.base)
    assert again == prepared.data
    assert state() == before


def test_the_size_is_known_before_anything_is_prepared(prepared: Prepared) -> None:
    assert training_images(prepared.settings, prepared.data_dir, prepared.base) == prepared.case.counts[0]
