"""Tests that need a separate process: forked workers and another backend."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from assay.experiments.run.execution import jax_environment
from tests.helpers.paths import ROOT
from tests.helpers.prepared_data import assign
from tests.helpers.waiting import GUARD_SECONDS

# Contracts that hold on any backend; they use the current backend of Keras. One process for each
# group.
CONTRACTS = [
    (
        "family_contract",
        "losses",
        "optimizers",
        "schedules",
        "early_stopping",
        "augmentation",
        "trainer",
        "program_cache",
    ),
    ("epochs", "precision", "keras_compat", "metrics"),
    ("custom",),
    ("preflight",),
    ("preflight_compile",),
    ("vmap_trainer",),
]

FORKING = """
import json, os, sys
from assay.models.worker.preload import preload
from assay.models.worker.trainer import Trainer

preload()
assignment, results = json.loads(sys.argv[1]), sys.argv[2]
for generation in range(2):
    children = []
    for child in range(2):
        if (pid := os.fork()) == 0:
            trainer = Trainer(threads=2)
            trainer.begin(assignment)
            metrics = [trainer.epoch()["metrics"] for _ in range(2)]
            with open(f"{results}/{generation}-{child}", "w") as file:
                json.dump(metrics, file)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
"""


def test_forked_workers_give_the_same_metrics(folder: Path, tmp_path: Path) -> None:
    spec = json.dumps(assign(folder, "cnn", model={"filters": 8, "dropout": 0.1}))
    results = tmp_path / "results"
    results.mkdir()
    subprocess.run(
        [sys.executable, "-c", FORKING, spec, str(results)],
        check=True,
        cwd=ROOT,
        timeout=GUARD_SECONDS,
    )
    metrics = [json.loads(file.read_text()) for file in sorted(results.iterdir())]
    assert len(metrics) == 4
    assert all(other == metrics[0] for other in metrics)


LOADING = """
import json, sys
from assay.models.worker.preload import preload

preload()
loaded = sorted(sys.modules)
import pandas, sklearn
print(json.dumps(loaded))
"""


def test_libraries_that_no_trial_needs_are_not_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {
        "keras",
        "assay.models.worker.trainer",
        f"assay.models.backends.{keras.backend.backend()}",
    } <= loaded
    assert not {"sklearn", "pandas", "matplotlib", "optuna", "mlflow"} & loaded


needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="the JAX backend is not installed"
)


def run_on_jax(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": "jax", **jax_environment(1)}
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_jax
@pytest.mark.timeout(3600)  # many tests in one process; each has its own time limit
@pytest.mark.parametrize(
    "contracts",
    [pytest.param(each, marks=pytest.mark.xdist_group(f"jax {each[0]}")) for each in CONTRACTS],
    ids="-".join,
)
def test_the_contracts_hold_on_jax(contracts: tuple[str, ...]) -> None:
    files = [str(Path(__file__).with_name(f"test_{name}.py")) for name in contracts]
    done = run_on_jax("-m", "pytest", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout


TRAINING = """
import json, sys
from assay.models.worker.preload import preload
from assay.models.worker.trainer import Trainer

preload()
trainer = Trainer(threads=1)
trainer.begin(json.loads(sys.argv[1]))
trainer.epoch()
assert "tensorflow" not in sys.modules
"""


@needs_jax
def test_training_on_jax_needs_no_tensorflow_and_caches_compiled_code(folder: Path) -> None:
    cache = Path(jax_environment(1)["JAX_COMPILATION_CACHE_DIR"])
    done = run_on_jax("-c", TRAINING, json.dumps(assign(folder, "mlp", model={"hidden_units": 3})))
    assert done.returncode == 0, done.stderr
    kept = {file.name for file in cache.iterdir() if not file.name.endswith("-atime")}
    assert any("epoch" in name for name in kept)
    done = run_on_jax(
        "-c", TRAINING, json.dumps(assign(folder, "mlp", seed=9, model={"hidden_units": 3}))
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in cache.iterdir() if not file.name.endswith("-atime")} == kept
