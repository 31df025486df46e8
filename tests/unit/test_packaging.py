"""Packages in pyproject.toml match the tree, and lock files pin everything."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.helpers.imports import PACKAGES, module_name, sources
from tests.helpers.paths import ROOT

TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def folders() -> dict[str, Path]:
    """Return every folder with code by its package name."""
    held = {file.parent for package in PACKAGES for file in sources(package)}
    return {module_name(folder / "__init__.py"): folder for folder in held}


def test_every_folder_of_code_is_a_package_that_is_installed() -> None:
    assert sorted(TOOLS["setuptools"]["packages"]) == sorted(folders())
    assert all((folder / "__init__.py").is_file() for folder in folders().values())


def test_every_package_is_mapped_to_its_folder() -> None:
    places = TOOLS["setuptools"]["package-dir"]
    for package, folder in folders().items():
        place = max((one for one in places if f"{package}.".startswith(f"{one}.")), key=len)
        below = package.removeprefix(place).split(".")[1:]
        assert ROOT.joinpath(places[place], *below) == folder


def test_imports_of_the_uninstalled_names_are_banned() -> None:
    banned = TOOLS["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(PACKAGES)
    assert "TID251" in TOOLS["ruff"]["lint"]["select"]


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "requirements-dev.lock", "requirements-gpu.lock"]
)
def test_locks_pin_everything_by_hash_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pinned) > 50
    assert all("==" in line for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "--index-url" not in text
