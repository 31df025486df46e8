"""Imports of commands, supervisor and modules, each in a separate process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assay.experiments.cli.main import SUBCOMMANDS
from tests.helpers.imports import imported, module_name, sources
from tests.helpers.paths import ROOT


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in SUBCOMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = f"""
import sys
sys.argv = ["assay", *{arguments!r}]
from assay.experiments.cli import main
try:
    main()
except SystemExit as left:
    assert left.code == 0
heavy = {{"keras", "tensorflow", "jax", "torch", "mlflow", "optuna", "pandas", "sklearn", "numpy"}}
heavy &= set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: assay" in done.stdout


def test_the_supervisor_imports_no_backend() -> None:
    script = """
import sys
import assay.experiments.run.sweep, assay.experiments.run.single
import assay.search.study, assay.search.recovery
import assay.experiments.tracking.recorder
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_models_imports_no_backend() -> None:
    backends = {"tensorflow", "jax", "torch"}
    modules = [
        module_name(file)
        for file in sources("models")
        if not backends & {name.partition(".")[0] for name in imported(file)}
    ]
    heavy = {"keras", *backends}
    script = f"import sys, {', '.join(modules)}; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = """
import sys, assay
assert {"sweep", "run", "load_study"} <= set(dir(assay))
heavy = {"keras", "tensorflow", "mlflow", "optuna", "pandas", "matplotlib", "tqdm", "numpy"}
heavy &= set(sys.modules)
assert not heavy, heavy
from assay import sweep, run, load_study
import assay.experiments.cli.main
assert all(map(callable, (assay.sweep, assay.run, assay.load_study)))
assert not {"keras", "tensorflow", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_data_package_imports_no_heavy_library() -> None:
    heavy = {"sklearn", "keras", "tensorflow", "pandas", "PIL"}
    code = f"import sys, assay.experiments.data; print({heavy} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout == "set()\n"
