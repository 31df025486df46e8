"""A model that does not fit into memory fails only its own trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.helpers.command import Done, assay

NETS = """import keras
import numpy as np


def build(input_shape, classes, units):
    if units == 13:
        np.ones(1 << 50)
    hidden = keras.layers.Dense(units, "relu")
    layers = [keras.layers.Flatten(), hidden, keras.layers.Dense(classes, dtype="float32")]
    return keras.Sequential([keras.Input(input_shape), *layers])
"""
OWN = """
title = "a network that may not fit"
[data]
name = "digits"
[model]
family = "nets.py:build"
[train]
epochs = 1
[space]
units = [8, 13]
[search]
trials = 2
sampler = "random"
[[baseline]]
units = 13
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "own.toml").write_text(OWN)


def sweep(folder: Path, *options: str) -> Done:
    return assay("sweep", "own.toml", "--workers", "1", "--home", "home", *options, cwd=folder)


def runs(folder: Path) -> dict[str, Run]:
    """Return the runs of the study by name."""
    client = MlflowClient(f"sqlite:///{folder / 'home' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'own'")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_a_sweep_continues_after_a_model_that_does_not_fit(tmp_path: Path) -> None:
    asked = ("--precision", "mixed_bfloat16", "--xla", "off", "--device", "cpu")
    done = sweep(tmp_path, *asked, "--seed", "1", "--json")
    assert done.code == 0, done.err
    assert "warning: the model was not checked, since the first configuration" in done.err
    assert done.answer["trials"]["complete"] == 2
    assert done.answer["best"]["params"] == {"units": 8}
    found = runs(tmp_path)
    first = found["trial-0000"]
    assert (first.data.tags["assay.state"], first.info.status) == (
        "failed: out of memory",
        "FAILED",
    )
    assert "nets.py, line 7" in first.data.tags["assay.error"]
    about = {
        name: found["own"].data.tags[f"assay.{name}"] for name in ("device", "precision", "xla")
    }
    assert about == {"device": "cpu", "precision": "mixed_bfloat16", "xla": "off"}
    other = sweep(tmp_path, "--trials", "3")
    assert other.code == 2
    assert "made with precision = mixed_bfloat16, this asks for float32" in other.err


def test_a_sweep_of_models_that_never_fit_ends_with_the_reason(tmp_path: Path) -> None:
    done = sweep(tmp_path, "--set", "units=13", "--max-failures", "2")
    assert done.code == 1
    assert "the last 2 trials all failed; the last one: out of memory" in done.err


def test_a_single_run_of_a_model_that_does_not_fit_fails(tmp_path: Path) -> None:
    done = assay("run", "own.toml", "--set", "units=13", "--home", "home", cwd=tmp_path)
    assert done.code == 1
    assert "out of memory" in done.err


def test_a_dry_run_does_not_measure_a_model_that_does_not_fit(tmp_path: Path) -> None:
    done = sweep(tmp_path, "--set", "units=13", "--dry-run")
    assert done.code == 0, done.err
    assert "not measured: the first trials do not fit into memory" in done.out + done.err
