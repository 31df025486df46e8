"""Paths that are too long for a file system are one line, wherever they are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command import invoke

PATHS = {
    "a long part": "a" * 300,
    "a long part in bytes": "日" * 90,
    "many parts": "/".join(["b" * 200] * 25),
    "below a user's folder": "~/" + "a" * 300,
    "absolute": "/" + "a" * 300,
}
EXPERIMENT = 'title = "t"\n[data]\nname = "{data}"\n[model]\nfamily = "{family}"\n'
COMMANDS: dict[str, list[str]] = {
    "data of an npz": ["sweep", "./npz.toml", "--dry-run"],
    "data of a folder": ["sweep", "./folder.toml", "--dry-run"],
    "a family": ["sweep", "./family.toml", "--dry-run"],
    "data of a new one": ["new", "x", "--data", "npz:{path}"],
    "a folder of a new one": ["new", "x", "--data", "folder:{path}"],
    "a model of a new one": ["new", "x", "--model", "{path}.py:build"],
    "an experiment": ["run", "./{path}.toml"],
    "a list": ["sweep", "digits-mlp", "--dry-run", "--enqueue", "{path}"],
    "home": ["list", "studies", "--home", "{path}"],
    "home of a study": ["show", "x", "--home", "{path}"],
    "data set by name": ["sweep", "digits-mlp", "--dry-run", "--data-dir", "{path}"],
    "a storage": ["show", "x", "--storage", "sqlite:///{path}"],
    "a tracking store": ["show", "a" * 32, "--tracking-uri", "sqlite:///{path}"],
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_path_that_is_too_long_is_one_line(
    command: list[str], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("npz.toml").write_text(EXPERIMENT.format(data=f"npz:{path}", family="mlp"))
    Path("folder.toml").write_text(EXPERIMENT.format(data=f"folder:{path}", family="mlp"))
    Path("family.toml").write_text(EXPERIMENT.format(data="digits", family=f"{path}.py:build"))
    words = [word.format(path=path) for word in command]
    home = [] if command[0] == "new" or "--home" in words else ["--home", "home"]
    done = invoke(*words, *home)
    assert done.code == 2, done
    (line,) = done.err.splitlines()
    assert "must be a path of at most 3,000 bytes, with at most 255 between two slashes" in line
    assert not Path("home").exists()
