"""User-defined models whose own code logs to MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.helpers.command import assay

AUTOLOG = """
import keras
import mlflow

mlflow.autolog()


def build(input_shape, classes, units=4):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])
"""

AT_IMPORT = """
import keras
import mlflow

mlflow.set_experiment("my own")
mlflow.log_metric("mine", 1.0)
mlflow.log_text("text", "mine.txt")


def build(input_shape, classes, units=4):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])
"""

IN_A_STEP = """
import keras


def log():
    import mlflow

    mlflow.log_metric("mine", 1.0)
    mlflow.log_text("text", "mine.txt")


class Net(keras.Sequential):
    def train_step(self, data):
        import tensorflow

        tensorflow.py_function(log, [], [])
        return super().train_step(data)


def build(input_shape, classes, units=4):
    return Net([keras.layers.Flatten(), keras.layers.Dense(classes)])
"""

OWN = """
title = "mine"
[data]
name = "digits"
[model]
family = "nets.py:build"
[train]
epochs = 1
batch_size = 512
[space]
units = [4, 8]
[search]
trials = 2
"""

# Ids of runs and experiments that the worker's store does not have.
STALE = {"MLFLOW_RUN_ID": "0123456789abcdef0123456789abcdef", "MLFLOW_EXPERIMENT_ID": "77"}


@pytest.mark.parametrize(
    ("nets", "experiment", "environment"),
    [(AT_IMPORT, "my own", {}), (IN_A_STEP, "Default", STALE)],
    ids=["at import", "in a step"],
)
def test_it_goes_to_a_store_of_its_own_in_home(
    nets: str, experiment: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "nets.py").write_text(nets)
    (tmp_path / "own.toml").write_text(OWN)
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    own = str(tmp_path / "own.toml")
    options = ("--workers", "2", "--home", str(home), "--json")
    done = assay("sweep", own, *options, cwd=elsewhere, **environment)
    assert done.code == 0, done.err
    assert done.answer["trials"] == {"complete": 2, "pruned": 0, "failed": 0, "interrupted": 0}
    assert assay("doctor", "--home", str(home)).code == 0
    assert not list(elsewhere.iterdir())

    suite = MlflowClient(done.answer["tracking_uri"])
    names = {found.experiment_id: found.name for found in suite.search_experiments()}
    runs = suite.search_runs(list(names))
    assert [names[run.info.experiment_id] for run in runs] == 3 * ["own"]

    users = MlflowClient(f"sqlite:///{home}/user-mlflow/mlflow.db")
    names = {found.experiment_id: found.name for found in users.search_experiments()}
    runs = users.search_runs(list(names))
    assert runs
    assert {names[run.info.experiment_id] for run in runs} == {experiment}
    assert {run.data.metrics["mine"] for run in runs} == {1.0}
    written = list((home / "user-mlflow" / "artifacts").rglob("mine.txt"))
    assert len(written) == len(runs)


def test_autologging_writes_to_home(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(AUTOLOG)
    (tmp_path / "own.toml").write_text(OWN)
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ("--workers", "1", "--home", str(home))
    done = assay("sweep", str(tmp_path / "own.toml"), *options, cwd=elsewhere)
    # MLflow's callback fails in any `fit` without TensorBoard, but has created its run by then.
    assert done.code == 0 or "TensorBoard is not installed" in done.err
    assert not list(elsewhere.iterdir())
    users = MlflowClient(f"sqlite:///{home}/user-mlflow/mlflow.db")
    (run, *_) = users.search_runs(["0"])
    assert run.info.artifact_uri.startswith((home / "user-mlflow" / "artifacts").as_uri())
