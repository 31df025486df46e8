"""Top-level files and folders of the repository."""

from __future__ import annotations

import subprocess

import pytest

from tests.helpers.paths import ROOT


def test_the_top_level_has_only_known_entries() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    packages = {"models", "search", "experiments", "tests", "docs", "mlruns", ".ci"}
    files = {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        ".gitignore",
    }
    locks = {
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-gpu.lock",
        "requirements-bench.lock",
    }
    assert top <= packages | files | locks
