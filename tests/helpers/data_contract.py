"""The contract of data sets; test classes inherit it and define a fixture `prepared`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import (
    GENERATED_SETS,
    PUBLISHED_SETS,
    DataSettings,
    PreparedData,
    count_training_images,
    prepare,
    summarize_data_sets,
)
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.lookup import locate_source
from assay.experiments.data.prepared_folder import PreparedMeta, read_prepared_meta
from assay.experiments.data.scaling import fit_scales
from assay.models.tasks import Task
from tests.helpers.small_sets import make_arrays, make_tree

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A data set and its expected properties."""

    name: str
    counts: tuple[int, int, int]
    shape: tuple[int, ...]
    verified: bool
    classes: int = 10
    task: Task = "classification"
    outputs: int = 10
    stored: type[np.generic] = np.uint8
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def largest_value(self) -> int | None:
        """Largest pixel value, or None if the scale depends on the split."""
        if self.stored is not np.uint8:
            return None
        return 16 if self.name == "digits" else 255


@dataclass(frozen=True)
class Prepared:
    """A prepared data set and its source."""

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
        """Return all published arrays; for digits, one array that joins all parts."""
        if self.case.name == "digits":
            from sklearn.datasets import load_digits

            bunch = load_digits()
            return {"x_train": bunch.images.astype(np.uint8), "y_train": bunch.target}
        if self.case.name in GENERATED_SETS:
            return dict(locate_source(self.settings, self.data_dir, self.base).load().items())
        if self.case.name == "folder:pets":
            return in_order_of_classes(make_arrays(300, 30))
        path = (
            self.base / self.case.name.removeprefix("npz:")
            if self.case.name.startswith("npz:")
            else self.data_dir / f"{self.case.name}.npz"
        )
        return dict(np.load(path, allow_pickle=False))

    def built(self, home: str, **changes: Any) -> tuple[Path, PreparedMeta]:
        """Prepare the data set with other settings; return its folder and meta.json."""
        settings = self.settings.model_copy(update=changes)
        folder = ensure_prepared(
            settings, self.home / home, self.data_dir, self.base, self.case.task
        )
        meta = read_prepared_meta(folder)
        assert meta is not None
        return folder, meta


def in_order_of_classes(arrays: dict[str, Array]) -> dict[str, Array]:
    """Sort arrays by class, the order in which image files are read."""
    order = {part: np.argsort(arrays[f"y_{part}"], kind="stable") for part in ("train", "test")}
    return {name: array[order[name[2:]]] for name, array in arrays.items()}


def numbers_to_predict() -> dict[str, Array]:
    """Return different rows of 16 numbers, with two regression targets each."""
    arrays = make_arrays(300, 30)
    x = {part: arrays[f"x_{part}"].reshape(-1, 16).astype(np.float32) for part in ("train", "test")}
    y = {part: np.stack([x[part].sum(axis=1), x[part][:, 3] / 7], axis=1) for part in x}
    return {f"{letter}_{part}": {"x": x, "y": y}[letter][part] for letter in "xy" for part in x}


def prepare_case(case: Case, data_dir: Path | None, factory: pytest.TempPathFactory) -> Prepared:
    """Prepare a data set from existing or newly written files."""
    base, home = factory.mktemp("base"), factory.mktemp("home")
    data_dir = base if data_dir is None else data_dir
    if case.name.startswith("npz:"):
        np.savez(base / "own.npz", **make_arrays(300, 30))
        np.savez(base / "numbers.npz", **numbers_to_predict())
    if case.name.startswith("folder:"):
        make_tree(base / "pets", make_arrays(300, 30), ("ant", "bird", "cat"))
    settings = DataSettings(name=case.name, validation=case.counts[1], **case.keys)
    if case.name in GENERATED_SETS:  # in this process, to save time
        ensure_prepared(settings, home, data_dir, base, case.task)
    data = prepare(settings, home, data_dir, base, case.task)
    return Prepared(case, settings, home, data_dir, base, data)


def rows(*parts: Array) -> list[bytes]:
    """Return images as sorted bytes, to compare them in any order."""
    return sorted(image.tobytes() for part in parts for image in part)


class DataContract:
    """The contract of every prepared data set."""

    @pytest.fixture
    def labelled(self, prepared: Prepared) -> Prepared:
        if prepared.case.task == "regression":
            pytest.skip("numbers have no classes")
        return prepared

    def test_shapes_types_and_counts_are_as_expected(self, prepared: Prepared) -> None:
        data, case = prepared.data, prepared.case
        assert (data.train_images, data.validation_images, data.test_images) == case.counts
        assert data.input_shape == case.shape
        assert len(data.classes) == case.classes
        assert (data.task, data.outputs) == (case.task, case.outputs)
        parts = (
            ("x_train.npy", "y_train.npy"),
            ("x_validation.npy", "y_validation.npy"),
            ("test/x.npy", "test/y.npy"),
        )
        for count, (x_name, y_name) in zip(case.counts, parts, strict=True):
            x, y = prepared.load(x_name), prepared.load(y_name)
            assert x.shape == (count, *case.shape)
            assert x.dtype == case.stored
            if case.task == "regression":
                assert (y.shape, y.dtype) == ((count, case.outputs), np.float32)
            else:
                assert (y.shape, y.dtype) == ((count,), np.int32)
                assert set(np.unique(y)) == set(range(case.classes))

    def test_the_validation_split_is_stratified_within_one_image(self, labelled: Prepared) -> None:
        train, validation = labelled.load("y_train.npy"), labelled.load("y_validation.npy")
        whole = np.bincount(train) + np.bincount(validation)
        share = whole * len(validation) / (len(train) + len(validation))
        assert np.abs(np.bincount(validation) - share).max() <= 1

    def test_the_splits_contain_each_training_image_once(self, prepared: Prepared) -> None:
        parts = [prepared.load("x_train.npy"), prepared.load("x_validation.npy")]
        if prepared.case.name == "digits":
            parts.append(prepared.load("test/x.npy"))
        assert rows(*parts) == rows(prepared.source()["x_train"])

    def test_every_image_keeps_its_label(self, prepared: Prepared) -> None:
        source = prepared.source()
        labels = source["y_train"].reshape(len(source["x_train"]), -1).tolist()
        of = {
            image.tobytes(): label for image, label in zip(source["x_train"], labels, strict=True)
        }
        for part in ("train", "validation"):
            x, y = prepared.load(f"x_{part}.npy"), prepared.load(f"y_{part}.npy")
            assert [of[image.tobytes()] for image in x] == y.reshape(len(x), -1).tolist()

    def test_the_test_set_is_separate_and_equals_the_published_one(
        self, prepared: Prepared
    ) -> None:
        names = {path.name for path in prepared.data.folder.iterdir()}
        assert names == {
            "x_train.npy",
            "y_train.npy",
            "x_validation.npy",
            "y_validation.npy",
            "meta.json",
            "test",
        }
        if prepared.case.name != "digits":
            source = prepared.source()
            assert prepared.load("test/x.npy").tobytes() == source["x_test"].tobytes()
            assert (
                prepared.load("test/y.npy").reshape(-1).tolist()
                == source["y_test"].reshape(-1).tolist()
            )

    def test_scaling_is_fitted_on_the_training_split_only(self, prepared: Prepared) -> None:
        x = prepared.load("x_train.npy")
        flat = x.reshape(-1, x.shape[-1])
        for name, scale in prepared.data.scales.items():
            assert len(scale.factor) == len(scale.offset) == x.shape[-1], name
        unit, standard, none = (prepared.data.scales[name] for name in ("unit", "standard", "none"))
        mean, deviation = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
        deviation = np.where(deviation > 0, deviation, 1)
        np.testing.assert_allclose(standard.factor, 1 / deviation, rtol=1e-9)
        np.testing.assert_allclose(standard.offset, -mean / deviation, rtol=1e-9)
        if (largest := prepared.case.largest_value) is not None:
            assert (set(unit.factor), set(unit.offset)) == ({1 / largest}, {0.0})
        else:
            spread = np.ptp(flat, axis=0) > 0  # a constant becomes 0
            extremes = [
                extreme(axis=0) * unit.factor + unit.offset for extreme in (flat.min, flat.max)
            ]
            np.testing.assert_allclose(extremes, [0 * spread, 1 * spread], atol=1e-6)
        assert (set(none.factor), set(none.offset)) == ({1.0}, {0.0})

    def test_the_seed_determines_the_split(self, prepared: Prepared) -> None:
        def validation(home: str, seed: int) -> Array:
            folder, _ = prepared.built(home, split_seed=seed)
            x: Array = np.load(folder / "x_validation.npy")
            return x

        again, other = validation("elsewhere", 0), validation("elsewhere", 1)
        assert np.array_equal(again, prepared.load("x_validation.npy"))
        assert rows(other) != rows(again)

    def test_published_sets_are_verified_and_others_state_why_not(self, prepared: Prepared) -> None:
        data = prepared.data
        assert data.verified is prepared.case.verified
        assert (data.unverified_reason is None) is data.verified
        assert len(data.digest) == 64
        assert set(data.array_digests) == {"x_train", "y_train", "x_test", "y_test"}
        # One warning for a set with the name of a published one that is not verified; none for
        # user-defined sets.
        assert len(data.warnings) == (prepared.case.name in PUBLISHED_SETS and not data.verified)

    def test_a_second_preparation_starts_and_writes_nothing(
        self, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def state() -> dict[Path, tuple[int, int]]:
            return {
                path: (path.stat().st_ino, path.stat().st_mtime_ns)
                for path in prepared.data.folder.rglob("*")
            }

        before = state()
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        again = prepare(
            prepared.settings, prepared.home, prepared.data_dir, prepared.base, prepared.case.task
        )
        assert again == prepared.data
        assert state() == before

    def test_the_size_is_known_before_preparation(self, prepared: Prepared) -> None:
        assert (
            count_training_images(prepared.settings, prepared.data_dir, prepared.base)
            == prepared.case.counts[0]
        )

    def test_a_subset_is_taken_after_the_validation_split(self, prepared: Prepared) -> None:
        count = prepared.case.counts[0] // 3
        folder, meta = prepared.built("subset", train_images=count)
        kept = np.load(folder / "x_train.npy")
        assert len(kept) == meta.train_images == count
        assert meta.train_images_available == prepared.data.train_images == prepared.case.counts[0]
        for file in ("x_validation.npy", "y_validation.npy", "test/x.npy", "test/y.npy"):
            assert (folder / file).read_bytes() == (prepared.data.folder / file).read_bytes()
        assert set(rows(kept)) <= set(rows(prepared.load("x_train.npy")))
        assert meta.scales == fit_scales(kept, prepared.case.largest_value)
        assert meta.digest == prepared.data.digest
        settings = prepared.settings.model_copy(update={"train_images": count})
        assert count_training_images(settings, prepared.data_dir, prepared.base) == count

    def test_a_smaller_subset_is_part_of_a_larger_one(
        self,
        prepared: Prepared,
    ) -> None:
        def pairs(count: int) -> set[tuple[bytes, bytes]]:
            folder, _ = prepared.built("subset", train_images=count)
            x, y = np.load(folder / "x_train.npy"), np.load(folder / "y_train.npy")
            return {(image.tobytes(), label.tobytes()) for image, label in zip(x, y, strict=True)}

        available = prepared.case.counts[0]
        whole = zip(prepared.load("x_train.npy"), prepared.load("y_train.npy"), strict=True)
        assert (
            pairs(available // 5)
            < pairs(available // 2)
            < {(x.tobytes(), y.tobytes()) for x, y in whole}
        )

    def test_a_subset_is_stratified_within_one_image(self, labelled: Prepared) -> None:
        folder, meta = labelled.built("subset", train_images=labelled.case.counts[0] // 3)
        whole, kept = (
            np.bincount(labelled.load("y_train.npy")),
            np.bincount(np.load(folder / "y_train.npy")),
        )
        assert np.abs(kept - whole * meta.train_images / whole.sum()).max() <= 1

    def test_every_set_is_listed_in_one_line(self, prepared: Prepared) -> None:
        listed = summarize_data_sets()
        kind, colon, _ = prepared.case.name.partition(":")
        line = listed[f"{kind}:PATH" if colon else kind]
        assert line
        assert "\n" not in line
