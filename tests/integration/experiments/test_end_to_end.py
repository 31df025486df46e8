"""End to end with a real backend: create an experiment, then sweep it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import Swept, assay


def test_the_printed_command_sweeps_the_experiment(tmp_path: Path) -> None:
    made = assay("new", "mine", "--json", "--home", f"{tmp_path}/home", cwd=tmp_path).answer
    assert made["file"] == "mine.toml"
    assert made["network"] is None
    command, *arguments = made["next"].split()
    assert (command, arguments[:2]) == ("assay", ["sweep", "./mine.toml"])
    done = assay(*arguments, "--trials", "2", "--epochs", "1", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.answer["trials"]["failed"] == 0
    assert done.answer["study"] == "mine"


def test_the_best_model_artifact_has_the_accuracy_of_its_trial(
    swept: Swept, tmp_path: Path
) -> None:
    stored = list((swept.home / "artifacts").rglob("*.keras"))
    assert len(stored) == 1
    script = """
import json, sys, mlflow, numpy as np
uri, run, folder = sys.argv[1:]
mlflow.set_tracking_uri(uri)
model = mlflow.keras.load_model(f"runs:/{run}/model")
signature = mlflow.models.get_model_info(f"runs:/{run}/model").signature
x, y = np.load(folder + "/x_validation.npy"), np.load(folder + "/y_validation.npy")
right = model.predict(x.astype("float32") / 16, verbose=0).argmax(1) == y
generic = mlflow.pyfunc.load_model(f"runs:/{run}/model").predict(x.astype("float32") / 16)
assert np.allclose(generic, model.predict(x.astype("float32") / 16, verbose=0), atol=1e-5)
print(json.dumps([float(right.mean()), signature.inputs.to_dict()[0]["tensor-spec"]["shape"]]))
"""
    (folder,) = [path.parent for path in (swept.home / "data").glob("*/meta.json")]
    uri, run_id = swept.answer["tracking_uri"], swept.answer["parent_run_id"]
    done = subprocess.run(
        [sys.executable, "-c", script, uri, run_id, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    accuracy, shape = json.loads(done.stdout.splitlines()[-1])
    assert accuracy == pytest.approx(swept.answer["best"]["value"], abs=1e-6)
    assert shape == [-1, 8, 8, 1]
