"""Commit and changes of a git checkout, without running anything that it names.

The configuration of a checkout can name programs: `core.fsmonitor`, filters, hooks. `git status`
would run them, and the checkout may be another user's. So `git status` gets a temporary git folder,
which has the checkout's index and objects, and a configuration of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from assay.models.files import temporary_folder

_GIT_TIMEOUT_SECONDS = 10.0
_MOST_ATTRIBUTES_BYTES = 1 << 20
# Settings that decide how files are compared; none names a program.
_HARMLESS = (
    *("core.autocrlf", "core.eol", "core.filemode", "core.ignorecase", "core.precomposeunicode"),
    *("core.symlinks", "extensions.objectformat"),
)


@dataclass(frozen=True)
class Checkout:
    """A git checkout.

    Attributes:
        commit: id of its commit; None if there is no checkout, or no commit.
        dirty: whether tracked files have changes; None if that can't be told.
    """

    commit: str | None = None
    dirty: bool | None = None


def read_checkout(folder: Path) -> Checkout:
    """Return the checkout that a folder belongs to.

    Submodules are ignored. Filters are not run: a file with a filter counts as unchanged while its
    size and time are those of the index, else `dirty` is None.

    Example:
        >>> read_checkout(Path("experiments/catalog")).dirty
        False
    """
    # These commands read the configuration, and run nothing that it names.
    found = _git(
        ["rev-parse", "--absolute-git-dir", "--show-toplevel", "--git-common-dir", "HEAD"], folder
    )
    if found is None or len(lines := found.splitlines()) != 4:
        return Checkout()
    git_folder, top, common = Path(lines[0]), Path(lines[1]), folder / lines[2]
    return Checkout(lines[3], _has_changes(git_folder, common, top, lines[3]))


def _has_changes(git_folder: Path, common: Path, top: Path, commit: str) -> bool | None:
    with temporary_folder("git") as folder:
        try:
            _write_git_folder(folder, common, top, commit)
        except (OSError, UnicodeError):
            return None
        variables = {
            "GIT_DIR": str(folder),
            "GIT_WORK_TREE": str(top),
            "GIT_INDEX_FILE": str(git_folder / "index"),
        }
        status = _git(
            ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"],
            top,
            variables,
        )
        if status is None:
            return None
        changed = [entry[3:] for entry in status.split("\0") if entry[2:3] == " "]
        if not changed:
            return False
        attributes = _git(["check-attr", "-z", "filter", "--", *changed], top, variables)
        if attributes is None:
            return None
        # Path, "filter" and value take turns.
        values = attributes.split("\0")[2::3]
        return True if any(value in ("unspecified", "unset") for value in values) else None


def _write_git_folder(aside: Path, common: Path, top: Path, commit: str) -> None:
    """Write a git folder with the objects of another one, and a configuration of its own."""
    (aside / "refs").mkdir()
    (aside / "objects" / "info").mkdir(parents=True)
    objects = str((common / "objects").resolve())
    (aside / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    (aside / "HEAD").write_text(f"{commit}\n")
    attributes = common / "info" / "attributes"
    if attributes.is_file() and attributes.stat().st_size <= _MOST_ATTRIBUTES_BYTES:
        (aside / "info").mkdir()
        shutil.copyfile(attributes, aside / "info" / "attributes")
    settings = _read_harmless_settings(top)
    version = int("extensions.objectformat" in settings)
    lines = [f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n"]
    for name, value in settings.items():
        section, _, key = name.partition(".")
        lines.append(f"[{section}]\n\t{key} = {value}\n")
    (aside / "config").write_text("".join(lines))


def _read_harmless_settings(top: Path) -> dict[str, str]:
    # The user's own settings too. Listing them runs nothing.
    listed = _git(["config", "--list", "-z"], top)
    entries = (entry.partition("\n") for entry in (listed or "").split("\0"))
    # One word: a value with a newline could set anything else.
    return {
        name: value
        for name, _, value in entries
        if name in _HARMLESS and re.fullmatch(r"[a-z0-9]+", value)
    }


def _git(arguments: list[str], folder: Path, variables: dict[str, str] | None = None) -> str | None:
    """Return what git prints; None if it fails.

    Args:
        arguments: of the command.
        folder: where it runs.
        variables: for a git folder of our own, which is then used with no other configuration.
    """
    # Without git's own variables, such as GIT_DIR in a hook: they name another repository.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    if variables is not None:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **variables}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout).rstrip("\n")
