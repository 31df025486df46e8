"""Who imports what: settings need no backend, and few files know a backend."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import assay.models

PACKAGE = Path(assay.models.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
OF_A_BACKEND = {
    PACKAGE / "backends" / name: backend
    for name, backend in (
        ("tensorflow.py", "tensorflow"),
        ("tensorflow_optimizers.py", "tensorflow"),
        ("jax.py", "jax"),
        ("jax_epoch.py", "jax"),
        ("jax_vmap.py", "jax"),
    )
}
"""The files that import a backend; only those do that run on it."""


def imported(file: Path) -> set[str]:
    """Return the top-level packages that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").removeprefix("assay.").split(".")[0])
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_backends_trackers_and_searchers_stay_outside(file: Path) -> None:
    allowed = {OF_A_BACKEND.get(file)}
    forbidden = {
        "tensorflow",
        "jax",
        "torch",
        "optuna",
        "mlflow",
        "search",
        "experiments",
    } - allowed
    assert not imported(file) & forbidden


def test_importing_the_package_imports_no_backend() -> None:
    modules = [
        ".".join(("assay", *file.relative_to(PACKAGE.parent).with_suffix("").parts))
        for file in FILES
        if file not in OF_A_BACKEND and file.stem != "__init__"
    ]
    heavy = "{'keras', 'tensorflow', 'jax', 'torch'}"
    program = f"import sys, {', '.join(modules)}; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert done.stdout.split() == []
