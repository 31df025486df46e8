"""Commit and changes of a real git checkout, in which nothing is run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.experiments.run.checkout import Checkout, read_checkout

FILE = "mine.toml"


def git(folder: Path, *arguments: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    variables = {**os.environ, **identity, "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=variables, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def create(folder: Path, *options: str) -> Path:
    folder.mkdir()
    git(folder, "init", "-q", *options)
    (folder / FILE).write_text("title = 'x'\n")
    (folder / "data.csv").write_text("1,2\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return create(tmp_path / "checkout")


def change(folder: Path, file: str = FILE) -> None:
    (folder / file).write_text("title = 'other'\n")


def touch(folder: Path) -> None:
    """Change the times alone, as a copy of a checkout does."""
    os.utime(folder / FILE, (1, 1))


def stage(folder: Path) -> None:
    change(folder)
    git(folder, "add", FILE)


def remove(folder: Path) -> None:
    (folder / FILE).unlink()


def add_untracked(folder: Path) -> None:
    (folder / "notes.txt").touch()


@pytest.mark.parametrize(
    ("act", "dirty"),
    [
        (lambda folder: None, False),
        (touch, False),
        (add_untracked, False),
        (change, True),
        (stage, True),
        (remove, True),
    ],
)
def test_changes_of_tracked_files_are_found(
    act: Callable[[Path], None], dirty: bool, checkout: Path
) -> None:
    before = (checkout / ".git" / "index").read_bytes()
    act(checkout)
    if act is stage:
        before = (checkout / ".git" / "index").read_bytes()
    assert read_checkout(checkout) == Checkout(git(checkout, "rev-parse", "HEAD"), dirty)
    assert (checkout / ".git" / "index").read_bytes() == before


def test_a_folder_without_a_commit_has_none(tmp_path: Path) -> None:
    assert read_checkout(tmp_path) == Checkout()
    git(tmp_path, "init", "-q")
    assert read_checkout(tmp_path) == Checkout()
    assert read_checkout(tmp_path / "nowhere") == Checkout()


@pytest.mark.parametrize("dirty", [False, True])
def test_other_kinds_of_checkouts_are_read(dirty: bool, checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", str(tmp_path / "worktree"))
    git(tmp_path, "clone", "-q", "--shared", str(checkout), str(tmp_path / "shared"))
    git(tmp_path, "clone", "-q", "--depth", "1", checkout.as_uri(), str(tmp_path / "shallow"))
    create(tmp_path / "long ids", "--object-format=sha256")
    (inner := checkout / "a" / "b").mkdir(parents=True)
    for folder in ("worktree", "shared", "shallow", "long ids", "checkout/a/b"):
        if dirty:
            change(checkout if folder.endswith("b") else tmp_path / folder)
        assert read_checkout(tmp_path / folder).dirty is dirty, folder
    assert inner.is_dir()


def test_lines_that_git_itself_ends_otherwise_are_no_change(checkout: Path) -> None:
    git(checkout, "config", "core.autocrlf", "true")
    remove(checkout)
    git(checkout, "checkout", "-q", FILE)
    assert (checkout / FILE).read_bytes() == b"title = 'x'\r\n"
    touch(checkout)  # so that the contents are compared
    assert read_checkout(checkout).dirty is False


def test_settings_of_the_user_count(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home := checkout.parent / "user").mkdir()
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = input\n")
    monkeypatch.setenv("HOME", str(home))
    (checkout / FILE).write_bytes(b"title = 'x'\r\n")
    git(checkout, "add", FILE)
    touch(checkout)
    assert read_checkout(checkout).dirty is False


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GIT_DIR", "{other}/.git"),
        ("GIT_WORK_TREE", "{other}"),
        ("GIT_INDEX_FILE", "{other}/.git/index"),
        ("GIT_OBJECT_DIRECTORY", "{other}/.git/objects"),
        ("GIT_COMMON_DIR", "{other}/.git"),
        ("GIT_NAMESPACE", "other"),
        ("GIT_CEILING_DIRECTORIES", "{checkout}"),
        ("GIT_CONFIG_GLOBAL", "{other}/mine.toml"),
    ],
)
def test_variables_of_git_lead_to_no_other_checkout(
    variable: str, value: str, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create(tmp_path / "other")
    change(other)
    git(other, "commit", "-q", "-a", "-m", "second")
    expected = Checkout(git(checkout, "rev-parse", "HEAD"), False)
    (inner := checkout / "inner").mkdir()
    monkeypatch.setenv(variable, value.format(other=other, checkout=checkout))
    assert read_checkout(inner) == expected


HOSTILE = {
    "fsmonitor": ["core.fsmonitor", "{}"],
    "a clean filter": ["filter.evil.clean", "{}"],
    "a process filter": ["filter.evil.process", "{}"],
    "hooks": ["core.hooksPath", "{folder}"],
    "an included file": ["include.path", "{folder}/config"],
    "a setting within a value": ["core.eol", "lf\n\tfsmonitor = {}\n"],
    "an external diff": ["diff.external", "{}"],
    "a pager and an editor": ["core.pager", "{}"],
    "an ssh command": ["core.sshCommand", "{}"],
}


@pytest.mark.parametrize("setting", HOSTILE)
def test_nothing_that_a_checkout_names_is_run(setting: str, checkout: Path, tmp_path: Path) -> None:
    (folder := tmp_path / "hostile").mkdir()
    program, harm = folder / "post-index-change", tmp_path / "harm"
    program.write_text(f"#!/bin/sh\ntouch {harm}\ncat\n")
    program.chmod(0o755)
    (folder / "config").write_text(f"[core]\n\tfsmonitor = {program}\n")
    (checkout / ".gitattributes").write_text(f"{FILE} filter=evil\n")
    git(checkout, "add", ".gitattributes")
    git(checkout, "commit", "-q", "-m", "attributes")
    name, value = HOSTILE[setting]
    git(checkout, "config", name, value.format(program, folder=folder))
    for act in (touch, change):
        act(checkout)
        assert read_checkout(checkout).commit is not None
        assert not harm.exists()


def test_without_its_filter_a_file_is_not_known_to_have_changed(checkout: Path) -> None:
    git(checkout, "config", "filter.upper.clean", "tr a-z A-Z")
    (checkout / ".gitattributes").write_text(f"{FILE} filter=upper\n")
    # Older than the index: otherwise git compares the contents.
    touch(checkout)
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "filtered")
    assert read_checkout(checkout).dirty is False
    os.utime(checkout / FILE)
    assert read_checkout(checkout).dirty is None
    change(checkout, "data.csv")
    assert read_checkout(checkout).dirty is True


def test_attributes_beside_the_configuration_count(checkout: Path) -> None:
    git(checkout, "config", "filter.upper.clean", "tr a-z A-Z")
    (checkout / ".git" / "info" / "attributes").write_text(f"{FILE} filter=upper\n")
    touch(checkout)
    change(checkout)
    assert read_checkout(checkout).dirty is None


def test_a_submodule_is_not_looked_into(checkout: Path, tmp_path: Path) -> None:
    create(tmp_path / "inner")
    allow = ("-c", "protocol.file.allow=always")
    git(checkout, *allow, "submodule", "add", "-q", str(tmp_path / "inner"), "inner")
    git(checkout, "commit", "-q", "-m", "submodule")
    harm = tmp_path / "harm"
    git(checkout / "inner", "config", "core.fsmonitor", f"touch {harm}; false")
    change(checkout / "inner")
    assert read_checkout(checkout).dirty is False
    assert not harm.exists()
