"""What holds for every data set: a contract that is inherited beside a fixture `prepared`."""

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
    """A data set and what it must come out as."""

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
        """Of a pixel; None where the split decides how it is scaled."""
        if self.stored is not np.uint8:
            return None
        return 16 if self.name == "digits" else 255


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
        """Build it once more with other settings; returns the folder and what its meta.json says."""
        settings = self.settings.model_copy(update=changes)
        folder = ensure_prepared(
            settings, self.home / home, self.data_dir, self.base, self.case.task
        )
        meta = read_prepared_meta(folder)
        assert meta is not None
        return folder, meta


def in_order_of_classes(arrays: dict[str, Array]) -> dict[str, Array]:
    """As files come: by the name of their class's folder."""
    order = {part: np.argsort(arrays[f"y_{part}"], kind="stable") for part in ("train", "test")}
    return {name: array[order[name[2:]]] for name, array in arrays.items()}


def numbers_to_predict() -> dict[str, Array]:
    """Rows of 16 numbers, all different, with two numbers to predict from each."""
    arrays = make_arrays(300, 30)
    x = {part: arrays[f"x_{part}"].reshape(-1, 16).astype(np.float32) for part in ("train", "test")}
    y = {part: np.stack([x[part].sum(axis=1), x[part][:, 3] / 7], axis=1) for part in x}
    return {f"{letter}_{part}": {"x": x, "y": y}[letter][part] for letter in "xy" for part in x}


def prepare_case(case: Case, data_dir: Path | None, factory: pytest.TempPathFactory) -> Prepared:
    """Prepare a set whose files are in a folder, or are made here."""
    base, home = factory.mktemp("base"), factory.mktemp("home")
    data_dir = base if data_dir is None else data_dir
    if case.name.startswith("npz:"):
        np.savez(base / "own.npz", **make_arrays(300, 30))
        np.savez(base / "numbers.npz", **numbers_to_predict())
    if case.name.startswith("folder:"):
        make_tree(base / "pets", make_arrays(300, 30), ("ant", "bird", "cat"))
    settings = DataSettings(name=case.name, validation=case.counts[1], **case.keys)
    if case.name in GENERATED_SETS:  # in this process, which spares one for each of so many
        ensure_prepared(settings, home, data_dir, base, case.task)
    data = prepare(settings, home, data_dir, base, case.task)
    return Prepared(case, settings, home, data_dir, base, data)


def rows(*parts: Array) -> list[bytes]:
    """Images as sorted bytes: equal where the images are, in whatever order."""
    return sorted(image.tobytes() for part in parts for image in part)


class DataContract:
    """What every prepared data set keeps to."""

    @pytest.fixture
    def labelled(self, prepared: Prepared) -> Prepared:
        if prepared.case.task == "regression":
            pytest.skip("numbers have no classes")
        return prepared

    def test_shapes_types_and_counts_are_as_promised(self, prepared: Prepared) -> None:
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

    def test_every_class_validates_in_its_share_within_one_image(self, labelled: Prepared) -> None:
        train, validation = labelled.load("y_train.npy"), labelled.load("y_validation.npy")
        whole = np.bincount(train) + np.bincount(validation)
        share = whole * len(validation) / (len(train) + len(validation))
        assert np.abs(np.bincount(validation) - share).max() <= 1

    def test_the_splits_together_are_the_training_set_each_image_once(
        self, prepared: Prepared
    ) -> None:
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

    def test_the_test_set_lies_apart_and_is_the_published_one(self, prepared: Prepared) -> None:
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

    def test_scaling_is_fitted_on_the_training_split_alone(self, prepared: Prepared) -> None:
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
            spread = np.ptp(flat, axis=0) > 0  # a constant is moved to 0
            extremes = [
                extreme(axis=0) * unit.factor + unit.offset for extreme in (flat.min, flat.max)
            ]
            np.testing.assert_allclose(extremes, [0 * spread, 1 * spread], atol=1e-6)
        assert (set(none.factor), set(none.offset)) == ({1.0}, {0.0})

    def test_the_split_is_decided_by_its_seed(self, prepared: Prepared) -> None:
        def validation(home: str, seed: int) -> Array:
            folder, _ = prepared.built(home, split_seed=seed)
            x: Array = np.load(folder / "x_validation.npy")
            return x

        again, other = validation("elsewhere", 0), validation("elsewhere", 1)
        assert np.array_equal(again, prepared.load("x_validation.npy"))
        assert rows(other) != rows(again)

    def test_what_was_published_is_verified_and_what_was_not_says_why(
        self, prepared: Prepared
    ) -> None:
        data = prepared.data
        assert data.verified is prepared.case.verified
        assert (data.unverified_reason is None) is data.verified
        assert len(data.digest) == 64
        assert set(data.array_digests) == {"x_train", "y_train", "x_test", "y_test"}
        # One line to show for a set that should be the published one and is not known to be; a
        # user's own needs none.
        assert len(data.warnings) == (prepared.case.name in PUBLISHED_SETS and not data.verified)

    def test_the_second_time_nothing_is_started_or_written(
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

    def test_the_size_is_known_before_anything_is_prepared(self, prepared: Prepared) -> None:
        assert (
            count_training_images(prepared.settings, prepared.data_dir, prepared.base)
            == prepared.case.counts[0]
        )

    def test_a_subset_is_kept_after_validation_is_split_off(self, prepared: Prepared) -> None:
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

    def test_a_smaller_subset_is_a_part_of_a_larger_one_each_image_with_its_label(
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

    def test_a_subset_has_every_class_in_its_share_within_one_image(
        self, labelled: Prepared
    ) -> None:
        folder, meta = labelled.built("subset", train_images=labelled.case.counts[0] // 3)
        whole, kept = (
            np.bincount(labelled.load("y_train.npy")),
            np.bincount(np.load(folder / "y_train.npy")),
        )
        assert np.abs(kept - whole * meta.train_images / whole.sum()).max() <= 1

    def test_every_set_has_its_line_in_the_listing(self, prepared: Prepared) -> None:
        listed = summarize_data_sets()
        kind, colon, _ = prepared.case.name.partition(":")
        line = listed[f"{kind}:PATH" if colon else kind]
        assert line
        assert "\n" not in line
