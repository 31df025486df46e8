"""The shape of the house: which package may import which, and what the command line must not wait for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.experiments.cli.main import VERBS
from tests.helpers.paths import ROOT

FORBIDDEN = {
    "models": {"search", "experiments", "optuna", "mlflow", "click", "rich"},
    "search": {"experiments", "mlflow", "keras", "tensorflow", "jax", "torch", "click", "rich"},
    "experiments": {"keras", "tensorflow", "jax", "torch"},
}
# Downloads what nobody has cached, in a process of its own.
ALLOWED = {("experiments/data/fetch.py", "keras")}


def imports(file: Path) -> Iterator[str]:
    """Yield the top-level packages that a file imports when it runs: not those that only types need."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("assay.").split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module.removeprefix("assay.").split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in imports(file)
        if name in FORBIDDEN[package] and (str(file.relative_to(ROOT)), name) not in ALLOWED
    ]
    assert not wrong


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = f"""
import sys
sys.argv = ["assay", *{arguments!r}]
from assay.experiments.cli import main
try:
    main()
except SystemExit as left:
    assert left.code == 0
heavy = {{"keras", "tensorflow", "jax", "torch", "mlflow", "optuna", "pandas", "sklearn", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: assay" in done.stdout


def test_the_supervising_process_needs_no_backend() -> None:
    script = """
import sys
import assay.experiments.run.sweep, assay.experiments.run.single, assay.search.study, assay.search.recovery
import assay.experiments.tracking.recorder
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_file_says_what_it_is() -> None:
    for package in FORBIDDEN:
        for file in (ROOT / package).rglob("*.py"):
            assert ast.get_docstring(ast.parse(file.read_text())), (
                f"{file.relative_to(ROOT)} does not say what it is"
            )


def test_the_top_level_is_what_the_readme_says() -> None:
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
