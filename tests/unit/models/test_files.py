"""Links, pipes and devices in the place of files that only Assay writes, and of users' files."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.models import files
from assay.models.errors import DamagedFile
from assay.models.files import (
    check_no_link,
    check_one_name,
    delete_files,
    is_regular,
    make_folder,
    open_regular,
    open_user_file,
    read_user_file,
    replace_file,
)
from tests.helpers.limits import time_limit

CONTENT = b"not to be touched"


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file elsewhere, which nothing here may change."""
    file = tmp_path / "precious"
    file.write_bytes(CONTENT)
    yield file
    assert file.read_bytes() == CONTENT


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "a link": lambda path, precious: path.symlink_to(precious),
    "a link to nowhere": lambda path, precious: path.symlink_to(path.parent / "nowhere"),
    "a link to itself": lambda path, precious: path.symlink_to(path),
    "a pipe": lambda path, precious: os.mkfifo(path),
    "a folder": lambda path, precious: path.mkdir(),
    "a socket": lambda path, precious: listen(path),
    "a device": lambda path, precious: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("mode", ["rb", "ab", "wb"])
@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_no_regular_file_is_not_opened(
    planted: str, mode: str, tmp_path: Path, precious: Path
) -> None:
    PLANTED[planted](path := tmp_path / "journal.jsonl", precious)
    # A folder that is to be written is an error that `open` raises as well.
    with pytest.raises((DamagedFile, IsADirectoryError)) as caught:
        open_regular(path, mode).close()  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not is_regular(path)


@pytest.mark.parametrize("mode", ["rb", "ab", "wb"])
def test_a_file_with_a_second_name_is_not_opened(mode: str, tmp_path: Path, precious: Path) -> None:
    os.link(precious, path := tmp_path / "journal.jsonl")
    with pytest.raises(DamagedFile, match=r"must have one name: .*journal.jsonl has 2.*'cp -a'"):
        open_regular(path, mode)  # type: ignore[arg-type]
    with pytest.raises(DamagedFile):
        check_one_name(path)
    check_one_name(tmp_path / "nowhere")
    assert read_user_file(precious) == CONTENT  # users may link their own files
    path.unlink()
    open_regular(precious, "rb").close()


def test_regular_files_are_opened_in_each_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode, content in (("wb", b"first"), ("ab", b" second"), ("wb", b"1st")):
        with open_regular(path, mode) as file:  # type: ignore[arg-type]
            file.write(content)
    with open_regular(path, "rb") as file:
        assert file.read() == b"1st"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nowhere", "rb")


@pytest.mark.parametrize("planted", ["a link", "a link to nowhere", "a pipe", "a socket"])
def test_a_new_file_takes_the_place_of_what_is_there(
    planted: str, tmp_path: Path, precious: Path
) -> None:
    PLANTED[planted](path := tmp_path / ".partial", precious)
    with replace_file(path) as file:
        file.write(b"new")
    assert (path.is_symlink(), path.read_bytes()) == (False, b"new")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (home := tmp_path / "home").mkdir()
    (home / "models").symlink_to(elsewhere)
    for folder in (home / "models", home / "models" / "study"):
        with pytest.raises(DamagedFile, match=r"must not be a symbolic link: .* leads to"):
            make_folder(folder)
        with pytest.raises(DamagedFile):
            check_no_link(folder)
    assert list(elsewhere.iterdir()) == []
    make_folder(home / "journal" / "deep")
    assert (home / "journal" / "deep").is_dir()


def test_only_matching_files_are_deleted(tmp_path: Path, precious: Path) -> None:
    name = re.compile(r"trial-\d+\.keras")
    (folder := tmp_path / "models").mkdir()
    (folder / "trial-1.keras").touch()
    assert delete_files(folder, name)
    folder.mkdir()
    (folder / "trial-1.keras").symlink_to(precious)
    (folder / "trial-2.keras").mkdir()
    (folder / "mine.keras").touch()
    assert not delete_files(folder, name)
    assert {path.name for path in folder.iterdir()} == {"trial-2.keras", "mine.keras"}
    (link := tmp_path / "link").symlink_to(folder)
    assert not delete_files(link, name)
    assert link.is_symlink()
    assert delete_files(tmp_path / "nowhere", name)


class TestFilesOfUsers:
    """Links are followed; what might block or never end is refused, and pipes have time limits."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "PIPE_START_SECONDS", 0.5)

    @pytest.mark.parametrize("read", [read_user_file, lambda path: open_user_file(path).read()])
    def test_links_to_files_are_followed(
        self, read: Callable[[Path], bytes], tmp_path: Path, precious: Path
    ) -> None:
        (tmp_path / "first").symlink_to(precious)
        (tmp_path / "second").symlink_to("first")
        assert read(tmp_path / "second") == CONTENT

    @pytest.mark.parametrize("read", [read_user_file, open_user_file])
    @pytest.mark.parametrize(
        ("planted", "words"),
        [
            ("/dev/zero", "it is a device, not a file"),
            ("/dev/null", "it is a device, not a file"),
            ("/dev/ptmx", "it is a device, not a file"),
            ("a device", "it is a device, not a file"),
            ("a socket", "it is a socket, not a file"),
            ("a pipe", "it is a pipe"),
            ("a folder", "Is a directory"),
            ("a link to itself", "symbolic links"),
            ("a link to nowhere", "No such file"),
        ],
    )
    def test_other_things_are_refused(
        self,
        planted: str,
        words: str,
        read: Callable[[Path], object],
        tmp_path: Path,
        precious: Path,
    ) -> None:
        path = Path(planted)
        if planted in PLANTED:
            PLANTED[planted](path := tmp_path / "mine.toml", precious)
        with time_limit(10), pytest.raises((OSError, ValueError), match=words):
            read(path)

    @pytest.mark.parametrize("size", [0, 99, 100, 101, 10**12])
    def test_a_file_has_a_largest_size(self, size: int, tmp_path: Path) -> None:
        (path := tmp_path / "mine.toml").touch()
        os.truncate(path, size)  # 10^12 bytes, of which the disk holds none
        if size <= 100:
            assert read_user_file(path, most_bytes=100) == bytes(size)
        else:
            with pytest.raises(ValueError, match=f"at most 100 bytes and has {size:,}: give a"):
                read_user_file(path, most_bytes=100)
