"""Models and checkpoints: what lies behind a link, and what is no file, stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.workers.protocol import Trial

TRIAL = Trial(number=1, searched={}, seed=7, origin="sampler")
FILES = ("trial-0001.keras", "trial-0002.keras", "seed-7.npz", "seed-7.partial")

DELETE: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "all models but some": (lambda folder: ModelStore(folder).keep_only({2}), FILES[:1]),
    "all models": (lambda folder: ModelStore(folder).delete(), FILES[:2]),
    "a checkpoint": (lambda folder: Checkpoints(folder).discard(TRIAL), FILES[2:]),
    "all checkpoints": (lambda folder: Checkpoints(folder).delete(), FILES[2:]),
}
"""Each step that deletes, and what it deletes of `FILES`."""


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"another study's")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("what", DELETE)
def test_files_are_deleted(what: str, tmp_path: Path) -> None:
    delete, deleted = DELETE[what]
    folder = fill(tmp_path / "folder")
    delete(folder)
    assert names(folder) == sorted(set(FILES) - set(deleted))
    delete(folder)
    delete(tmp_path / "nowhere")


@pytest.mark.parametrize("linked", ["study", "study above"])
@pytest.mark.parametrize("what", DELETE)
def test_nothing_is_deleted_behind_a_link(what: str, linked: str, tmp_path: Path) -> None:
    theirs = fill(tmp_path / "theirs" / "study")
    (home := tmp_path / "home").mkdir()
    if linked == "study":
        (home / "study").symlink_to(theirs)
        folder = home / "study"
    else:
        (home / "models").symlink_to(theirs.parent)
        folder = home / "models" / "study"
    DELETE[what][0](folder)
    assert names(theirs) == sorted(FILES)
    assert folder.exists()


@pytest.mark.parametrize("what", DELETE)
def test_a_folder_in_the_place_of_a_file_stays(what: str, tmp_path: Path) -> None:
    delete, deleted = DELETE[what]
    folder = fill(tmp_path / "folder")
    (folder / deleted[0]).unlink()
    (folder / deleted[0] / "inner").mkdir(parents=True)
    delete(folder)
    assert names(folder) == sorted({*FILES} - {*deleted[1:]})


@pytest.mark.parametrize("what", DELETE)
def test_a_link_in_the_place_of_a_file_is_deleted_alone(what: str, tmp_path: Path) -> None:
    delete, deleted = DELETE[what]
    folder = fill(tmp_path / "folder")
    (precious := tmp_path / "precious").write_text("precious")
    (folder / deleted[0]).unlink()
    (folder / deleted[0]).symlink_to(precious)
    delete(folder)
    assert not (folder / deleted[0]).is_symlink()
    assert precious.read_text() == "precious"
