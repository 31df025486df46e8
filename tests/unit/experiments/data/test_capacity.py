"""Archives and folders that claim, or hold, more than memory and disk have."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.experiments.data import (
    PUBLISHED_SETS,
    DataSettings,
    Source,
    count_training_images,
    read_input_shape,
)
from assay.experiments.data import capacity as capacity_module
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.capacity import ArraySize, check_capacity
from assay.experiments.data.lookup import locate_source
from assay.experiments.data.sources import image_files
from assay.experiments.data.sources.npz_file import read_npz_file
from assay.models.errors import RequestError
from tests.helpers.limits import time_limit
from tests.helpers.small_sets import make_arrays, make_tree

GB = 10**9
OWN = DataSettings(name="npz:own.npz")
MOST_BYTES = 30_000_000
"""Most memory that a refusal may take."""


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Return a function that sets the memory and the disk space that are available, in bytes."""

    def limit(memory: int, disk: int) -> None:
        monkeypatch.setattr(capacity_module, "available_memory_bytes", lambda: memory)
        monkeypatch.setattr(capacity_module, "_free_disk_bytes", lambda folder: disk)

    return limit


HEADER = "{{'descr': {}, 'fortran_order': False, 'shape': {}, }}"


def header(shape: object, dtype: str = "<f4", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the header of an .npy file with any shape."""
    return npy(f"{HEADER.format(repr(dtype), shape)}\n".encode("latin1"), version)


def npy(text: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the beginning of an .npy file whose header is this text."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text


def write_claim(path: Path, content: bytes, claimed_bytes: int | None = None) -> None:
    """Write good arrays, but an x_train of this content, whose size the directory may overstate."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in make_arrays().items():
            with archive.open(f"{name}.npy", "w") as stream:
                if name == "x_train":
                    stream.write(content)
                else:
                    np.lib.format.write_array(stream, array)
        if claimed_bytes is not None:
            archive.getinfo("x_train.npy").file_size = claimed_bytes


def claim(shape: tuple[int, ...]) -> Callable[[Path], None]:
    """Return a function that writes an x_train whose header and directory claim this shape."""
    head = header(shape)
    return lambda path: write_claim(path, head, len(head) + int(np.prod(shape)) * 4)


def write_many(path: Path, entries: int, longest: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(entries):
            archive.writestr(f"{number:0{longest}}.npy", b"")


def write_long_header(path: Path) -> None:
    """Write an x_train whose header has 100 MB, packed into 100 kB."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (60, 4)}" + b" " * 100_000_000
    write_claim(path, b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text)


BAD_CLAIMS: dict[str, tuple[Callable[[Path], object], str]] = {
    "3 GB": (claim((750_000_000, 1)), "own.npz must fit into memory while .* 6.0 GB; 2.0 GB are"),
    "32 GB": (claim((80_000, 100_000)), "must fit into memory while .* 64.0 GB; 2.0 GB are"),
    "8 EB": (claim((10**9, 2 * 10**9)), "must fit into memory"),
    "3 GB in the header alone": (
        lambda path: write_claim(path, header((750_000_000, 1))),
        r"x_train is damaged: \d+ bytes cannot be \(750000000, 1\) of float32",
    ),
    "3 GB in the directory alone": (
        lambda path: write_claim(path, header((60, 4)) + bytes(960), 3 * GB),
        r"x_train is damaged: 3,000,000,000 bytes cannot be \(60, 4\)",
    ),
    "lengths below 0": (
        lambda path: write_claim(path, header((-60, -4)) + bytes(960)),
        r"x_train is damaged: .* cannot be \(-60, -4\)",
    ),
    "a length of 10^30 beside one of 0": (
        lambda path: write_claim(path, header((0, 10**30))),
        "x_train can't be read: its header claims a length that no array can have",
    ),
    "a length that is a boolean": (
        lambda path: write_claim(path, header((True, 4)) + bytes(16)),
        r"x_train is damaged: .* cannot be \(True, 4\)",
    ),
    "a shape that is no tuple": (
        lambda path: write_claim(path, header(60) + bytes(240)),
        "x_train can't be read: its header is damaged .shape is not valid",
    ),
    "a length of thousands of digits": (
        lambda path: write_claim(path, header(f"({'9' * 4_000},)")),
        "x_train can't be read: its header claims a length that no array can have",
    ),
    "a thousand axes": (
        lambda path: write_claim(path, header((1,) * 1_000) + bytes(4)),
        "own.npz is not an .npz file, or is damaged",
    ),
    "a billion texts of no length": (
        lambda path: write_claim(path, header((GB,), "<U0")),
        "x_train is damaged",
    ),
    "a header of 100 MB": (
        write_long_header,
        "x_train can't be read: its header is damaged .EOF",
    ),
    **{
        f"a header of {text[:12]}": (
            lambda path, text=text: write_claim(path, npy(text.encode("latin1"))),
            "x_train (can't be read: its header|is damaged)",
        )
        for text in (
            "[" * 9_900,
            "(" * 9_900,
            "-" * 9_900,
            "9" * 9_900,
            "{" * 50,
            "{[]: 1}",
            "{1: 2, 'a': 3}",
            "1L + (",
            "\\",
            " 1\n  2\n 3",
            "\x00",
            "'\xff",
            HEADER.format("'(((((i4'", "(60, 4)"),
            HEADER.format("[('a', '<f4'), 3]", "(60, 4)"),
            HEADER.format("[" * 90 + "]" * 90, "(60, 4)"),
            HEADER.format("{}", "(60, 4)"),
            HEADER.format("None", "(60, 4)"),
            HEADER.format("'O'", "0x" + "f" * 9_000),
            HEADER.format("'<f4'", "(0x" + "f" * 9_000 + ",)"),
        )
    },
    "3,000 entries": (lambda path: write_many(path, 3_000, 1), "at most 1,000 arrays; received 3,"),
    "a directory of 3 MB": (
        lambda path: write_many(path, 1_000, 3_000),
        "at most 1,000 arrays; received a directory of 3,0",
    ),
    "many arrays, none of them right": (
        lambda path: write_many(path, 500, 20),
        "x_train is missing; it holds [0-9, ]+ and 490 more",
    ),
}


@pytest.mark.parametrize(("write", "message"), BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_claim_is_refused_before_memory_is_taken(
    write: Callable[[Path], object],
    message: str,
    tmp_path: Path,
    available: Callable[[int, int], None],
) -> None:
    available(2 * GB, 1_000 * GB)
    write(tmp_path / "own.npz")
    tracemalloc.start()
    try:
        with time_limit(20), pytest.raises(RequestError, match=message) as caught:
            ensure_prepared(OWN, tmp_path / "home", tmp_path, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not list((tmp_path / "home" / "data").glob("*/*"))


@pytest.mark.parametrize("ask", [count_training_images, read_input_shape])
@pytest.mark.parametrize("bad", ["3 GB in the header alone", "lengths below 0", "3,000 entries"])
def test_a_claim_is_refused_by_the_command_itself(
    bad: str, ask: Callable[[DataSettings, Path, Path], object], tmp_path: Path
) -> None:
    write, message = BAD_CLAIMS[bad]
    write(tmp_path / "own.npz")
    with pytest.raises(RequestError, match=message):
        ask(OWN, tmp_path, tmp_path)


def test_a_prepared_copy_must_fit_onto_the_disk(
    tmp_path: Path, available: Callable[[int, int], None]
) -> None:
    claim((750_000_000, 1))(tmp_path / "own.npz")
    available(100 * GB, 2 * GB)
    message = r"must fit into home, where its prepared copy takes 3\.0 GB; 2\.0 GB are free"
    with pytest.raises(RequestError, match=message):
        ensure_prepared(OWN, tmp_path / "home", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("train", "train_images", "memory", "disk"),
    [
        # The training images are copied by the split, the test images are stored as they are.
        (ArraySize((100, 10, 10), np.dtype(np.uint8)), None, 10_000 + 10_000 + 100, 10_100),
        (ArraySize((100, 10, 10), np.dtype(np.uint8)), 50, 10_000 + 5_000 + 100, 5_100),
        # Rows become float32, whatever they were.
        (ArraySize((100, 100), np.dtype(np.uint8)), None, 10_000 + 40_000 + 100, 40_100),
        (ArraySize((100, 100), np.dtype(np.float64)), None, 80_000 + 40_000 + 100, 40_100),
        (ArraySize((100, 100), np.dtype(np.float64)), 10, 80_000 + 4_000 + 100, 4_100),
    ],
)
def test_what_fits_exactly_is_accepted(
    train: ArraySize,
    train_images: int | None,
    memory: int,
    disk: int,
    tmp_path: Path,
    available: Callable[[int, int], None],
) -> None:
    test = ArraySize((1, 10, 10), np.dtype(np.uint8))
    sizes = {"x_train": train, "x_test": test}
    available(memory, disk)
    check_capacity("own", sizes, tmp_path, train_images)
    for less in ((memory - 1, disk), (memory, disk - 1)):
        available(*less)
        with pytest.raises(RequestError, match="own must fit into"):
            check_capacity("own", sizes, tmp_path, train_images)


def test_a_shape_without_axes_is_left_to_the_check_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **make_arrays() | {"x_train": np.float64(3)})
    with pytest.raises(RequestError, match=r"received \(\)"):
        ensure_prepared(
            DataSettings(name="npz:own.npz", train_images=4), tmp_path / "home", tmp_path, tmp_path
        )


LOOK_ALIKES: dict[str, Callable[[Path, dict[str, Any]], object]] = {
    "compressed": lambda path, arrays: np.savez_compressed(path, **arrays),
    "beside 900 other arrays": lambda path, arrays: np.savez(
        path, **arrays, **{f"other_{number}": np.zeros(1) for number in range(900)}
    ),
    "behind a link": lambda path, arrays: (
        np.savez(path.with_name("real.npz"), **arrays),
        path.symlink_to("real.npz"),
    ),
    "in Fortran's order": lambda path, arrays: np.savez(
        path, **{name: np.asfortranarray(array) for name, array in arrays.items()}
    ),
    "of the other byte order": lambda path, arrays: np.savez(
        path,
        **{name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()},
    ),
}


@pytest.mark.parametrize("write", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_look_alikes_are_read(
    write: Callable[[Path, dict[str, Any]], object], tmp_path: Path
) -> None:
    arrays = make_arrays() | {"x_train": np.zeros((60, 300, 300), np.uint8)}  # packs 1000 to 1
    write(tmp_path / "own.npz", arrays)
    read = dict(read_npz_file(tmp_path / "own.npz").items())
    assert {name: array.tolist() for name, array in read.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_versions_of_a_header_are_read(version: tuple[int, int], tmp_path: Path) -> None:
    x = np.arange(240, dtype="<f4").reshape(60, 4)
    write_claim(tmp_path / "own.npz", header((60, 4), version=version) + x.tobytes())
    assert np.array_equal(read_npz_file(tmp_path / "own.npz").x_train, x)


def plant_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("plant", "kind"), [(plant_pipe, "pipe"), (lambda path: path.symlink_to("/dev/zero"), "device")]
)
def test_a_published_set_is_read_from_a_regular_file(
    plant: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    plant(tmp_path / "mnist.npz")
    source: Source = locate_source(DataSettings(name="mnist"), tmp_path, tmp_path)
    for ask in (source.count_training_examples, source.load):
        with time_limit(10), pytest.raises(RequestError, match=f"it is a {kind}, not a file"):
            ask()


class TestFoldersOfImages:
    PETS = DataSettings(name="folder:pets")

    @pytest.fixture
    def pets(self, tmp_path: Path) -> Path:
        return make_tree(tmp_path / "pets", make_arrays(12, 6), ("ant", "bird", "cat"))

    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return a list that receives the name of each image whose pixels are decoded."""
        names: list[str] = []

        def load(image: Any, *arguments: Any) -> Any:
            if image.tile:  # what is left to decode
                names.append(image.fp.name)
            return original(image, *arguments)

        from PIL import ImageFile

        original = ImageFile.ImageFile.load
        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        return names

    @pytest.mark.parametrize("keys", [{}, {"size": [3, 3]}])
    def test_each_image_is_decoded_once(
        self, keys: dict[str, Any], pets: Path, decoded: list[str]
    ) -> None:
        settings = DataSettings(name="folder:pets", validation=3, **keys)
        ensure_prepared(settings, pets.parent / "home", pets.parent, pets.parent)
        assert len(decoded) == 18

    @pytest.mark.parametrize(
        ("mode", "keys", "needed"),
        [
            ("L", {}, "2.6 GB"),  # 12 training images twice and 6 test images of 9,300^2 pixels
            ("RGB", {}, "7.8 GB"),
            ("RGB", {"size": [4_000, 4_000]}, "1.4 GB"),
        ],
    )
    def test_images_that_do_not_fit_are_refused_before_one_is_decoded(
        self,
        mode: str,
        keys: dict[str, Any],
        needed: str,
        pets: Path,
        decoded: list[str],
        available: Callable[[int, int], None],
    ) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (9_300, 9_300)).save(buffer, "png", compress_level=1)
        for path in pets.rglob("*.png"):
            path.write_bytes(buffer.getvalue())
        decoded.clear()
        available(GB, 1_000 * GB)
        message = f"folder:pets must fit into memory while it is prepared, which takes {needed}"
        with time_limit(20), pytest.raises(RequestError, match=message):
            ensure_prepared(
                DataSettings(name="folder:pets", **keys),
                pets.parent / "home",
                pets.parent,
                pets.parent,
            )
        assert decoded == []

    def test_a_rotation_that_png_says_behind_its_pixels_counts(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.array([[1, 2], [3, 4], [5, 6]], np.uint8)).save(
            tmp_path / "before.png", exif=exif
        )
        content = (tmp_path / "before.png").read_bytes()
        start = content.index(b"eXIf") - 4
        end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
        last = content.index(b"IEND") - 4
        (tmp_path / "behind.png").write_bytes(
            content[:start] + content[end:last] + content[start:end] + content[last:]
        )
        Image.new("L", (3, 2)).save(tmp_path / "upright.png")
        names = ("upright.png", "before.png", "behind.png")
        train, _ = image_files.decode_images(
            [tmp_path / name for name in names], [tmp_path / "behind.png"], None
        )
        assert train[1].tolist() == train[2].tolist() == [[5, 3, 1], [6, 4, 2]]
        Image.new("L", (2, 3)).save(tmp_path / "upright.png")
        with pytest.raises(RequestError, match=r"upright.png is 3 x 2, .*before.png is 2 x 3"):
            image_files.decode_images(
                [tmp_path / name for name in names], [tmp_path / "behind.png"], None
            )

    def test_a_diamond_of_links_is_visited_once(self, pets: Path, tmp_path: Path) -> None:
        # 30 folders, each with two links to the next: a thousand million ways to the last one.
        for number in range(30):
            (folder := tmp_path / "chain" / f"{number}").mkdir(parents=True)
            for name in ("left", "right"):
                (folder / name).symlink_to(f"../{number + 1}")
        last = tmp_path / "chain" / "30"
        shutil.copytree(pets / "train" / "ant", last)
        (pets / "train" / "bird" / "chain").symlink_to(tmp_path / "chain" / "0")
        (pets / "train" / "cat" / "chain").symlink_to(tmp_path / "chain" / "0")
        with time_limit(20):
            # 12 images, and the 4 of the last folder in two classes; a sixth validates.
            assert count_training_images(self.PETS, tmp_path, tmp_path) == 20 - 20 // 6

    def test_deeply_nested_folders_are_listed(self, pets: Path, tmp_path: Path) -> None:
        image = next((pets / "train" / "ant").iterdir()).read_bytes()
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(pets / "train" / "ant")
            for _ in range(1_500):
                Path("d").mkdir()
                os.chdir("d")
            Path("deep.png").write_bytes(image)
        finally:
            os.fchdir(before)
            os.close(before)
        try:
            with time_limit(30):
                assert count_training_images(self.PETS, tmp_path, tmp_path) == 13 - 13 // 6
        finally:
            remove_nested(pets / "train" / "ant" / "d")

    def test_files_are_listed_in_the_order_of_their_paths(self, pets: Path) -> None:
        ant = pets / "train" / "ant"
        image = next(ant.iterdir()).read_bytes()
        for name in ("00/b.png", "00/a.png", "00/c/d.png", "0.png", "z.png"):
            (ant / name).parent.mkdir(exist_ok=True)
            (ant / name).write_bytes(image)
        from assay.experiments.data.sources.image_folder import list_image_tree

        listed = [
            str(image.path.relative_to(ant))
            for image in list_image_tree(pets).train
            if image.label == "ant" and not image.path.name.startswith("000")
        ]
        assert listed == ["0.png", "00/a.png", "00/b.png", "00/c/d.png", "z.png"]


def remove_nested(folder: Path) -> None:
    """Remove nested folders; `shutil.rmtree`, which pytest uses, calls itself for each."""
    shallow = folder.parent / "shallow"
    while folder.exists():
        inner = folder / folder.name
        if inner.exists():
            inner.rename(shallow)
        shutil.rmtree(folder)
        if shallow.exists():
            shallow.rename(folder)


def test_every_published_set_fits_a_small_machine(available: Callable[[int, int], None]) -> None:
    available(2 * GB, 2 * GB)
    for name, published in PUBLISHED_SETS.items():
        sizes = {
            array: ArraySize((count, *published.shape), np.dtype(np.uint8))
            for array, count in (
                ("x_train", published.train_images),
                ("x_test", published.test_images),
            )
        }
        check_capacity(name, sizes, Path("/"))
