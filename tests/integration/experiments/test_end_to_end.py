"""End to end with a real backend: create an experiment, then sweep it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.command import Swept, assay
from tests.helpers.isolated_model import REFUSE_ASSAY, run_isolated


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


_MEASURE = (
    REFUSE_ASSAY
    + """
import json, mlflow, numpy as np
uri, run, folder = sys.argv[1:]
mlflow.set_tracking_uri(uri)
served = mlflow.pyfunc.load_model(f"runs:/{run}/model")
x, y = np.load(folder + "/x_validation.npy")[..., 0], np.load(folder + "/y_validation.npy")
frame = served.predict(x)
network = mlflow.keras.load_model(f"runs:/{run}/model")
outputs = network.predict(x[..., np.newaxis].astype("float32") / 16, verbose=0)
powers = np.exp(outputs - outputs.max(1, keepdims=True))
expected = powers / powers.sum(1, keepdims=True)
assert np.allclose(frame.to_numpy()[:, 1:].astype(float), expected, atol=1e-5)
assert served.predict(served.input_example).shape == (1, 11)
shape = served.metadata.signature.inputs.to_dict()[0]["tensor-spec"]
print(json.dumps([float((frame["label"].astype(int) == y).mean()), shape]))
"""
)


def test_the_best_model_answers_raw_images_where_assay_cannot_be_imported(
    swept: Swept, tmp_path: Path
) -> None:
    stored = list((swept.home / "artifacts").rglob("*.keras"))
    assert len(stored) == 1
    (folder,) = [path.parent for path in (swept.home / "data").glob("*/meta.json")]
    uri, run_id = swept.answer["tracking_uri"], swept.answer["parent_run_id"]
    printed = run_isolated(_MEASURE, uri, run_id, str(folder.absolute()), cwd=tmp_path)
    accuracy, spec = json.loads(printed.splitlines()[-1])
    assert accuracy == pytest.approx(swept.answer["best"]["value"], abs=1e-6)
    assert spec == {"dtype": "uint8", "shape": [-1, 8, 8]}
