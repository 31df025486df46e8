"""Logged models where nothing of this project can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assay.models.data import load_training_data
from tests.helpers.command import Swept, assay
from tests.helpers.isolated_model import REFUSE_ASSAY, load_isolated, run_isolated

EXPERIMENT = """
title = "a model to be served"
task = "{task}"
[data]
name = "{data}"
{keys}
[model]
family = "{family}"
[train]
epochs = 2
batch_size = 8
[space]
learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}
"""

NETS = """import keras

from blocks import Gain


def net(input_shape, classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = Gain()(keras.layers.Dense(8, activation=halve)(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def halve(x):
    return x / 2
"""
BLOCKS = """import keras


class Gain(keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.gain
"""
RANDOM = np.random.default_rng(0)


def train(
    folder: Path,
    backend: str,
    family: str,
    data: str,
    keys: str = "",
    task: str = "classification",
) -> Path:
    """Train once, and return the folder of the logged model."""
    text = EXPERIMENT.format(data=data, keys=keys, family=family, task=task)
    (folder / "mine.toml").write_text(text)
    home = folder / "home"
    given = ("--backend", backend, "--home", str(home), "--json")
    done = assay("run", str(folder / "mine.toml"), *given, cwd=folder)
    assert done.code == 0, done.err
    return next((home / "artifacts").rglob("MLmodel")).parent


def load_scaled(folder: Path) -> Any:
    """Return the scaled validation inputs, as the network saw them."""
    (meta,) = (folder / "home" / "data").glob("*/meta.json")
    data = load_training_data(meta.parent, "unit")
    return data.scale.apply(data.x_validation)


def with_validation(x: Any, y: Any) -> dict[str, Any]:
    parts = {"train": slice(0, 60), "val": slice(60, 72), "test": slice(72, 80)}
    return {
        f"{letter}_{part}": array[places]
        for part, places in parts.items()
        for letter, array in (("x", x), ("y", y))
    }


def make_photos(folder: Path) -> list[Any]:
    """Write a folder of colour photos of many sizes; return those of the validation set."""
    kept = []
    for part, count in (("train", 24), ("val", 6), ("test", 6)):
        for number in range(count):
            label = ("<b>cat", "label")[number * 2 // count]
            photo = RANDOM.integers(0, 256, (9 + number % 5, 14, 3)).astype(np.uint8)
            place = folder / "photos" / part / label
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo).save(place / f"{number:02}.png")
            kept += [photo] if part == "val" else []
    return kept


def softmax(outputs: Any) -> Any:
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


CONVERT = """
import json, sys
from assay.experiments.export.convert import convert

for job in json.loads(sys.argv[1]):
    convert(job)
"""
"""Converts networks, each of which is compared with the model that is served."""


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("photos", "values", "own", "exported")}
    for folder in made.values():
        folder.mkdir()
    return made


def train_values(folder: Path, backend: str) -> tuple[Path, Any]:
    """Train on inputs and targets far from zero; return the model and raw validation inputs."""
    x = 1e6 + RANDOM.random((80, 3))
    y = 1e9 + (x - 1e6).sum(axis=1, keepdims=True) * np.array([[1.0, 1e3]])
    np.savez(folder / "own.npz", **with_validation(x, y))
    return train(folder, backend, "mlp", "npz:own.npz", task="regression"), [x[60:72]]


def train_own(folder: Path, backend: str) -> tuple[Path, Any]:
    """Train a network with a layer and a function of its own, on images with channels first."""
    x = RANDOM.integers(0, 256, (80, 3, 6, 6)).astype(np.uint8)
    np.savez(folder / "own.npz", **with_validation(x, np.arange(80) % 3))
    (folder / "nets.py").write_text(NETS)
    (folder / "blocks.py").write_text(BLOCKS)
    return train(folder, backend, "nets.py:net", "npz:own.npz", LAYOUT), [x[60:72]]


LAYOUT = 'layout = "channels_first"'


def check_values(answer: dict[str, Any], tolerance: float) -> None:
    assert answer["columns"] == ["value_0", "value_1"]
    np.testing.assert_allclose(answer["rows"], answer["outputs"], rtol=0, atol=tolerance)
    assert np.ptp(np.array(answer["rows"])[:, 1]) > 0


def check_own(answer: dict[str, Any]) -> None:
    assert answer["columns"] == ["label", "0", "1", "2"]
    assert answer["custom"] == ["Gain", "halve", "net"]
    check_classes(answer, softmax(np.array(answer["outputs"])), ["0", "1", "2"])


def test_models_on_tensorflow_are_served_and_converted(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    photos = [photo[np.newaxis] for photo in make_photos(folders["photos"])]
    models = {
        "photos": (
            train(folders["photos"], "tensorflow", "cnn", "folder:photos", "size = [12, 10]"),
            photos,
        ),
        "values": train_values(folders["values"], "tensorflow"),
        "own": train_own(folders["own"], "tensorflow"),
    }
    answers = load_isolated(
        {name: (*model, load_scaled(folders[name])) for name, model in models.items()}, tmp_path
    )
    assert [answer["backend"] for answer in answers.values()] == ["tensorflow"] * 3
    assert [len(answer["example"]) for answer in answers.values()] == [1, 1, 1]
    answer = answers["photos"]
    assert answer["columns"] == ["label", "<b>cat", "label (1)"]
    check_classes(answer, softmax(np.array(answer["outputs"])), ["<b>cat", "label"])
    check_own(answers["own"])
    check_values(answers["values"], 1e-3)

    jobs = [
        {
            "model": str(models[name][0]),
            "folder": str(folders["exported"]),
            "to": to,
            "study": "s",
            "names": {
                "network": f"{name}.{to}",
                "program": f"{name}.{to}.py",
                "example": f"{name}.{to}.npy",
            },
        }
        for name, to in (
            ("photos", "onnx"),
            ("photos", "keras"),
            ("values", "savedmodel"),
            ("own", "onnx"),
        )
    ]
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", CONVERT, json.dumps(jobs)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(folders["exported"].glob("*.npy"))) == len(jobs)


def test_models_on_jax_are_served(folders: dict[str, Path], tmp_path: Path) -> None:
    models = {
        "values": train_values(folders["values"], "jax"),
        "own": train_own(folders["own"], "jax"),
    }
    answers = load_isolated(
        {name: (*model, load_scaled(folders[name])) for name, model in models.items()}, tmp_path
    )
    assert [answer["backend"] for answer in answers.values()] == ["jax"] * 2
    check_own(answers["own"])
    # The network itself adds the offset in 32 bits.
    check_values(answers["values"], 64)


@pytest.fixture(scope="module")
def answer(swept: Swept, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the served model of the digits answers for its own example."""
    model = next((swept.home / "artifacts").rglob("MLmodel")).parent
    example = np.array(json.loads((model / "input_example.json").read_text()), np.uint8)
    folder = tmp_path_factory.mktemp("digits")
    answers = load_isolated({"digits": (model, [example], example[..., np.newaxis] / 16)}, folder)
    return {**answers["digits"], "raw": example.tolist()}


@pytest.mark.parametrize("to", ["keras", "onnx", "savedmodel"])
def test_the_lines_beside_an_export_classify_its_example(
    to: str, swept: Swept, answer: dict[str, Any], tmp_path: Path
) -> None:
    command = ("export", "digits-mlp", "--to", to, "--home", str(swept.home))
    folder = tmp_path / "exported"
    folder.mkdir()
    done = assay(*command, "--json", cwd=folder)
    assert done.code == 0, done.err
    assert done.err.count("\n") == 3
    assert np.load(done.answer["example"]).tolist() == answer["raw"]
    program = Path(done.answer["program"])
    # Where nothing of this project can be imported.
    lines = f"{REFUSE_ASSAY}__file__ = {str(program)!r}\n{program.read_text()}"
    *_, probabilities, label = run_isolated(lines, cwd=tmp_path).splitlines()
    (row,) = answer["rows"]
    assert label == f"label: {row[0]}"
    numbers = json.loads(probabilities.removeprefix("probabilities: "))
    np.testing.assert_allclose(numbers, row[1:], atol=1e-5)
    assert sorted(folder.iterdir()) == sorted(
        Path(done.answer[name]) for name in ("file", "program", "example")
    )


def check_classes(answer: dict[str, Any], probabilities: Any, labels: list[str]) -> None:
    rows = answer["rows"]
    np.testing.assert_allclose([row[1:] for row in rows], probabilities, atol=1e-5)
    assert [row[0] for row in rows] == [labels[i] for i in probabilities.argmax(axis=1)]


_MEASURE_BEST = (
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
    printed = run_isolated(_MEASURE_BEST, uri, run_id, str(folder.absolute()), cwd=tmp_path)
    accuracy, spec = json.loads(printed.splitlines()[-1])
    assert accuracy == pytest.approx(swept.answer["best"]["value"], abs=1e-6)
    assert spec == {"dtype": "uint8", "shape": [-1, 8, 8]}
