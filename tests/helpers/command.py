"""The command `assay`, as a user calls it, and one small study that many tests look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.workspace import StorePaths

ASSAY = [sys.executable, "-P", "-c", "from assay.experiments.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """What `--json` printed: the last line, and nothing else, on standard output."""
        (line,) = self.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        return answer


def assay(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run `assay` in a process of its own."""
    done = subprocess.run(
        [*ASSAY, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=170,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def pretend_cuda_libraries(folder: Path) -> Path:
    """Return a folder for the path in which what backends need for a card seems to be installed."""
    for package in ("nvidia/cudnn", "jax_cuda12_plugin"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    return folder


@dataclass(frozen=True)
class Swept:
    """A study of digits-mlp: its home and what the sweep answered."""

    home: Path
    answer: dict[str, Any]
    err: str


SWEEP = ("sweep", "digits-mlp", "--trials", "5", "--epochs", "4", "--seed", "3", "--workers", "2", "--json")


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Sweep once for all tests that only look at the result."""
    home = tmp_path_factory.mktemp("swept") / "home"
    done = assay(*SWEEP, "--home", str(home))
    assert done.code == 0, done.err
    return Swept(home, done.answer, done.err)


@pytest.fixture
def store_paths(swept: Swept, tmp_path: Path) -> StorePaths:
    """A home of its own with the study, to be changed at will."""
    shutil.copytree(swept.home, tmp_path / "home")
    store_paths = StorePaths.choose(home=tmp_path / "home")
    cursor = store_paths.workspace.journal("digits-mlp").with_suffix(".tracked")
    cursor.write_text(cursor.read_text().replace(str(swept.home), str(store_paths.workspace.path)))
    return store_paths
