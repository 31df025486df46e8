"""The process that prepares data gives the same results as this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import (
    DataSettings,
    prepare,
)
from assay.experiments.data.sources.generated import GeneratedSource
from assay.models.errors import RequestError
from tests.helpers.small_sets import Arrays, make_arrays, make_tree


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "pets", make_arrays(12, 6), ("ant", "bird", "cat"))


def test_the_child_reads_the_same_images(pets: Path, quick_split: Path) -> None:
    settings = DataSettings(name="folder:pets", size=[2, 3], validation=3)
    data = prepare(settings, pets.parent / "home", pets.parent, pets.parent)
    assert data.input_shape == (2, 3, 1)
    assert data.warnings == ()


def test_the_child_generates_the_same_points(tmp_path: Path, quick_split: Path) -> None:
    settings = DataSettings(name="sine", samples=40, noise=0.5, seed=3, validation=10)
    data = prepare(settings, tmp_path / "home", tmp_path, task="regression")
    here = GeneratedSource("sine", 40, 0.5, 3).load()
    stored = np.concatenate(
        [np.load(data.folder / f"y_{part}.npy") for part in ("validation", "train")]
    )
    assert np.array_equal(
        stored[:, 0], here.y_train
    )  # quick_split takes the first ones to validate
    assert np.array_equal(np.load(data.folder / "test" / "x.npy"), here.x_test)
    assert data.unverified_reason == "generated points have no published digest"
    assert data.warnings == ()


def test_an_error_of_the_child_is_one_line(tmp_path: Path, quick_split: Path) -> None:
    arrays: Arrays = make_arrays()
    np.savez(tmp_path / "own.npz", **(arrays | {"y_train": np.zeros(60, int)}))
    with pytest.raises(RequestError, match="two classes or more") as caught:
        prepare(DataSettings(name="npz:own.npz"), tmp_path / "home", tmp_path, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_home_that_cannot_be_written_is_named(own_set: Path, quick_split: Path) -> None:
    home = own_set.with_name("home")
    home.write_text("a file")
    with pytest.raises(RequestError, match=f"home must be a folder that can be written.*{home}"):
        prepare(DataSettings(name="npz:own.npz"), home, own_set.parent, own_set.parent)
