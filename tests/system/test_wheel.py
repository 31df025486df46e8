"""The wheel: its contents, and its use in a folder with clashing names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.imports import PACKAGES
from tests.helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a command without this process's PYTHONPATH; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, since the build writes files beside the sources
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(sys.executable, "-m", "pip", *build, "--wheel-dir", folder, source)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel and the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # Python does not read the .pth files of a folder that a .pth file names. So the finder of an
    # editable install, which would import `assay` from the sources, is not active.
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--ignore-installed")
    run(sys.executable, "-m", "pip", "--python", python, *install, wheel)
    return python


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a user's folder whose files have the names of our packages."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    (tmp_path / "models.py").write_text("raise RuntimeError('the wrong module')\n")
    return tmp_path


def test_it_contains_only_the_packages_and_the_catalogue(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    packages = {".".join(name.parent.parts) for name in names if name.suffix == ".py"}
    assert packages == set(PROJECT["tool"]["setuptools"]["packages"])
    about = f"assay-{PROJECT['project']['version']}.dist-info"
    assert {name.parts[0] for name in names} == {"assay", about}
    catalogue = {name.name for name in names if name.suffix == ".toml"}
    assert catalogue == {file.name for file in (ROOT / "experiments" / "catalog").glob("*.toml")}
    others = {name.suffix for name in names if name.parts[0] == "assay"}
    assert others == {".py", ".toml", ".ipynb", ".jinja", ".css"}


def test_it_sweeps_in_a_folder_with_clashing_names(python: Path, folder: Path) -> None:
    command = python.with_name("assay")
    limits = ("--trials", "2", "--epochs", "1", "--workers", "2")
    answer = json.loads(run(command, "sweep", "digits-mlp", *limits, "--json", cwd=folder))
    assert answer["trials"]["complete"] + answer["trials"]["pruned"] == 2
    script = """
import json
import assay
from assay import load_study, run, sweep
assert callable(run) and callable(sweep)
print(json.dumps([assay.__file__, load_study("digits-mlp").to_record()["best"]]))
"""
    file, best = json.loads(run(python, "-c", script, cwd=folder))
    assert Path(file).is_relative_to(python.parents[1])
    assert best == answer["best"]
