"""Folders of images: conversion of each kind of image, and refused folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.experiments.data import DataSettings, count_training_images
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import PreparedMeta, read_prepared_meta
from assay.experiments.data.sources.image_files import decode_images
from assay.models.errors import RequestError
from tests.helpers.small_sets import make_arrays, make_tree

Array = np.ndarray[Any, Any]

PETS = DataSettings(name="folder:pets")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "pets", make_arrays(12, 6), ("ant", "bird", "cat"))


def built(pets: Path, **keys: Any) -> tuple[Path, PreparedMeta]:
    folder = ensure_prepared(
        DataSettings(name="folder:pets", **keys), pets.parent / "home", pets.parent, pets.parent
    )
    meta = read_prepared_meta(folder)
    assert meta is not None
    return folder, meta


def read(
    image: Image.Image, tmp_path: Path, beside: str = "L", suffix: str = "png", **options: Any
) -> list[Any]:
    """Save an image, then read it together with a second one of mode `beside`."""
    image.save(tmp_path / f"image.{suffix}", **options)
    Image.new(beside, image.size).save(tmp_path / "beside.png")
    (_, pixels), _ = decode_images(
        [tmp_path / "beside.png", tmp_path / f"image.{suffix}"], [tmp_path / "beside.png"], None
    )
    return list(pixels.tolist())


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    """Return a row with one pixel for each colour of the palette."""
    image = Image.fromarray(np.arange(len(colours), dtype=np.uint8)[np.newaxis]).convert("P")
    image.putpalette([part for colour in colours for part in colour])
    return image


def test_one_colour_image_makes_all_images_colour(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[0, 100, 255]], np.uint8))
    assert read(grey, tmp_path) == [[0, 100, 255]]
    assert read(grey, tmp_path, beside="RGB") == [[[0, 0, 0], [100, 100, 100], [255, 255, 255]]]


def test_colour_test_images_become_grey_if_all_training_images_are_grey(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "grey.png")
    Image.new("RGB", (1, 1), (200, 100, 50)).save(tmp_path / "colour.png")
    _, test = decode_images([tmp_path / "grey.png"], [tmp_path / "colour.png"], None)
    assert test.tolist() == [[[round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]]]


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (0, 0, 0, 102), [153, 153, 153]),
        ("LA", (40, 0), 255),
        ("LA", (40, 255), 40),
    ],
)
def test_transparent_pixels_are_blended_with_white(
    mode: str, pixel: tuple[int, ...], expected: list[int] | int, tmp_path: Path
) -> None:
    assert read(Image.new(mode, (1, 1), pixel), tmp_path) == [[expected]]


def test_a_transparent_colour_becomes_white(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[7, 8]], np.uint8))
    assert read(grey, tmp_path, transparency=7) == [[255, 8]]
    assert read(palette((9, 9, 9), (8, 8, 8)), tmp_path, transparency=0) == [[255, 8]]
    deep = Image.fromarray(np.array([[0, 257 * 8]], np.uint16))
    assert read(deep, tmp_path, transparency=0) == [[255, 8]]


def test_a_palette_with_a_colour_entry_is_read_as_colour(tmp_path: Path) -> None:
    assert read(palette((1, 1, 1), (200, 200, 200)), tmp_path) == [[1, 200]]
    assert read(palette((1, 1, 1), (200, 0, 9)), tmp_path) == [[[1, 1, 1], [200, 0, 9]]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_images_are_scaled_to_8_bits(suffix: str, tmp_path: Path) -> None:
    deep = Image.fromarray(np.array([[0, 128, 129, 257 * 100, 65_535]], np.uint16))
    assert read(deep, tmp_path, suffix=suffix) == [[0, 0, 1, 100, 255]]


def test_black_and_white_are_0_and_255(tmp_path: Path) -> None:
    assert read(Image.fromarray(np.array([[False, True]])), tmp_path) == [[0, 255]]


def test_cmyk_is_converted(tmp_path: Path) -> None:
    assert read(Image.new("CMYK", (1, 1), (0, 0, 0, 0)), tmp_path, suffix="tif") == [
        [[255, 255, 255]]
    ]


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [(1, [[1, 2], [3, 4], [5, 6]]), (3, [[6, 5], [4, 3], [2, 1]]), (6, [[5, 3, 1], [6, 4, 2]])],
)
def test_an_image_is_rotated_by_its_exif_orientation(
    orientation: int, seen: list[list[int]], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    train, _ = decode_images([tmp_path / "turned.png"], [tmp_path / "turned.png"], None)
    assert train[0].tolist() == seen


def test_the_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (2, 2), level) for level in (10, 200)]
    assert read(frames[0], tmp_path, suffix="gif", save_all=True, append_images=frames[1:]) == [
        [10, 10],
        [10, 10],
    ]


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "webp", "ppm", "gif", "tif"])
def test_formats_that_pillow_reads_are_accepted(suffix: str, tmp_path: Path) -> None:
    pixels = read(Image.new("L", (8, 8), 77), tmp_path, suffix=suffix)
    np.testing.assert_allclose(np.array(pixels).reshape(8, 8, -1), 77, atol=2)


def test_a_size_resizes_every_image(pets: Path) -> None:
    Image.new("L", (9, 30), 77).save(pets / "train" / "ant" / "large.png")
    folder, meta = built(pets, size=[3, 5], validation=4)
    assert meta.input_shape == (3, 5, 1)
    stored = np.concatenate([np.load(folder / f"x_{part}.npy") for part in ("train", "validation")])
    assert (stored == 77).all(axis=(1, 2, 3)).sum() == 1


def test_the_classes_are_the_names_of_the_folders(pets: Path) -> None:
    (pets / "train" / "cat").rename(pets / "train" / "Zwölf Katzen")
    (pets / "test" / "cat").rename(pets / "test" / "Zwölf Katzen")
    folder, meta = built(pets, validation=3)
    assert meta.classes == ("Zwölf Katzen", "ant", "bird")
    assert np.load(folder / "test" / "y.npy").tolist() == [0, 0, 1, 1, 2, 2]


def test_a_class_without_test_images_keeps_its_label(pets: Path) -> None:
    for file in (pets / "test" / "bird").iterdir():
        file.unlink()
    (pets / "test" / "bird").rmdir()
    folder, meta = built(pets, validation=3)
    assert meta.classes == ("ant", "bird", "cat")
    assert np.load(folder / "test" / "y.npy").tolist() == [0, 0, 2, 2]


def test_system_files_are_ignored(pets: Path) -> None:
    before = count_training_images(PETS, pets.parent, pets.parent)
    for place in (pets, pets / "train", pets / "train" / "ant"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.png"):
            (place / name).write_text("nothing to see")
        (place / ".hidden").mkdir()
    (pets / "README.txt").write_text("beside train and test anything may lie")
    assert count_training_images(PETS, pets.parent, pets.parent) == before
    assert built(pets, validation=3)[1].train_images == 9


def test_links_are_followed_but_not_in_circles(pets: Path, tmp_path: Path) -> None:
    (pets / "train" / "ant").rename(tmp_path / "elsewhere")
    (pets / "train" / "ant").symlink_to(tmp_path / "elsewhere")
    for name, target in {"self": ".", "up": "..", "root": str(pets), "all": "/"}.items():
        (pets / "train" / "bird" / name).symlink_to(target)
    (pets / "train" / "cat" / "deeper").mkdir()
    (pets / "train" / "cat" / "deeper" / "cat.png").symlink_to(
        next((pets / "test" / "cat").iterdir())
    )
    assert count_training_images(PETS, pets.parent, pets.parent) == 11  # of 13, two validate


def test_the_recorded_name_contains_no_path(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, meta = built(pets, validation=3)
    assert meta.name == "folder:pets"
    assert str(tmp_path) not in (folder / "meta.json").read_text()
    monkeypatch.setenv("HOME", str(pets))
    for own in ("~", str(pets), "../pets/train/.."):
        data_name = DataSettings(name=f"folder:{own}", validation=3)
        home = ensure_prepared(data_name, tmp_path / "home", tmp_path, pets)
        meta_of_home = read_prepared_meta(home)
        assert meta_of_home is not None
        assert meta_of_home.name == "folder:~"


def _touch(pets: Path) -> None:
    file = pets / "train" / "ant" / "00000.png"
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        _touch,
        lambda pets: (pets / "train" / "ant" / "00000.png").unlink(),
        lambda pets: (pets / "test" / "cat" / "00002.png").rename(
            pets / "test" / "cat" / "00003.png"
        ),
        lambda pets: Image.new("L", (4, 4)).save(pets / "test" / "cat" / "new.png"),
    ],
    ids=["changed", "removed", "renamed", "added"],
)
def test_a_changed_folder_is_prepared_again(change: Callable[[Path], object], pets: Path) -> None:
    before, _ = built(pets, validation=3)
    assert built(pets, validation=3)[0] == before
    change(pets)
    assert built(pets, validation=3)[0] != before


def test_the_digest_does_not_depend_on_the_path(pets: Path, tmp_path: Path) -> None:
    _, first = built(pets, validation=3)
    pets.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "pets")
    _, second = built(tmp_path / "elsewhere" / "pets", validation=3)
    assert first.digest == second.digest


def _save(path: Path, image: Image.Image) -> None:
    image.save(path)


def _leave_only(pets: Path, name: str) -> None:
    for folder in pets.glob("*/*"):
        if folder.name != name:
            shutil.rmtree(folder)


ANT = Path("train") / "ant"

BAD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not there": (lambda pets: pets.rename(pets.with_name("cats")), "pets is not there"),
    "a file": (lambda pets: (pets.rename(pets.with_name("cats")), pets.touch()), "pets is a file"),
    "no test": (lambda pets: (pets / "test").rename(pets / "tset"), "there is no folder .*pets/test; create it"),
    "no train": (lambda pets: (pets / "train").rename(pets / "training"), "there is no folder .*pets/train; create it"),
    "an empty test": (
        lambda pets: ((pets / "test").rename(pets / "tset"), (pets / "test" / "ant").mkdir(parents=True)),
        "pets/test must hold images",
    ),
    "an empty class": (lambda pets: (pets / "train" / "dog").mkdir(), "must hold images, but .*train/dog is empty"),
    "a test class that training lacks": (
        lambda pets: (pets / "test" / "cat").rename(pets / "test" / "cats"),
        "one of train/, ant, bird, cat; received .*test/cats. Did you mean 'cat'",
    ),
    "one class": (lambda pets: _leave_only(pets, "cat"), "two classes or more; received 1"),
    "a file beside the classes": (
        lambda pets: (pets / "train" / "labels.csv").touch(),
        "train/labels.csv lies outside the classes' folders",
    ),
    "a class of no readable name": (
        lambda pets: (pets / "train" / os.fsdecode(b"\xff")).mkdir(),
        "readable text; received '.udcff'",
    ),
    "a text": (lambda pets: (pets / ANT / "00.txt").write_text("no image"), "ant/00.txt is not an image that Pillow"),
    "an empty file": (lambda pets: (pets / ANT / "00.png").touch(), "ant/00.png is not an image"),
    "a truncated image": (
        lambda pets: (pets / ANT / "00000.png").write_bytes((pets / ANT / "00000.png").read_bytes()[:-40]),
        "ant/00000.png is not an image",
    ),
    "a link to nowhere": (lambda pets: (pets / ANT / "00.png").symlink_to("nowhere"), "ant/00.png cannot be read"),
    "a pipe": (lambda pets: os.mkfifo(pets / ANT / "00.png"), "ant/00.png is no file"),
    "a program for Ghostscript": (
        lambda pets: Image.new("L", (4, 4)).save(pets / ANT / "00.eps"),
        "ant/00.eps is not an image that Pillow can read",
    ),
    "images of two sizes": (
        lambda pets: _save(pets / "train" / "bird" / "wide.png", Image.new("L", (7, 4))),
        r"one size, or be resized by \[data\] size = .*ant/00000.png is 4 x 4, .*bird/wide.png is 4 x 7",
    ),
    "a test image of another size": (
        lambda pets: _save(pets / "test" / "bird" / "high.png", Image.new("L", (4, 7))),
        "test/bird/high.png is 7 x 4",
    ),
    "32-bit numbers": (
        lambda pets: _save(pets / ANT / "00.tif", Image.fromarray(np.full((4, 4), 70_000, np.int32))),
        "ant/00.tif has 32-bit pixels",
    ),
    "fractions": (
        lambda pets: _save(pets / ANT / "00.tif", Image.fromarray(np.full((4, 4), 0.5, np.float32))),
        "ant/00.tif has 32-bit pixels",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_bad_folders_are_refused_in_one_line(
    spoil: Callable[[Path], object], message: str, pets: Path
) -> None:
    spoil(pets)
    with pytest.raises(RequestError, match=message) as caught:
        built(pets, validation=3)
    assert "\n" not in str(caught.value)
    data = pets.parent / "home" / "data"
    assert not data.exists() or not [path for path in data.iterdir() if path.is_dir()], (
        "something was left there"
    )


def test_an_image_of_too_many_pixels_is_refused(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (15, 7):  # 16 pixels: Pillow warns above its limit and raises above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(RequestError, match=f"00000.png has more than {limit} pixels"):
            built(pets, validation=3)


def test_a_folder_that_changes_while_it_is_read_is_refused(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(path: Path) -> Image.Image:
        _touch(pets)
        return opened(path)

    opened = Image.open
    monkeypatch.setattr(Image, "open", lambda path, formats: change(path))
    with pytest.raises(RequestError, match="folder:pets changed while it was read"):
        built(pets, validation=3)
