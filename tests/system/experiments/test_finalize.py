"""Finalize with real training: its networks and predictions; the test set that stays closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.workspace import Workspace
from assay.models.training.config import TrainSettings
from assay.search.events import TrialBegun
from assay.search.journal import read_events
from tests.helpers.command import assay
from tests.helpers.nets import SOURCE

CHECK = """
import json, sys
import numpy as np
from assay.models.worker.trainer import Trainer
import keras
import mlflow

spec, model, test = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
store, address = sys.argv[4], sys.argv[5]
trainer = Trainer(threads=1)
trainer.begin(spec)
for _ in range(spec["train"]["epochs"]):
    last = trainer.epoch()
    if last.get("stopped"):
        break
trainer.finish(save_as=model)
meta = json.load(open(spec["data"]["folder"] + "/meta.json"))
scale = meta["scales"][spec["data"]["scale"]]
factor, offset = np.float32(scale["factor"]), np.float32(scale["offset"])
x = np.load(test + "/x.npy").astype("float32") * factor + offset
network = keras.models.load_model(model, compile=False, custom_objects={})
mlflow.set_tracking_uri(store)
mlflow.pyfunc.load_model(address)
registered = mlflow.keras.load_model(address)
networks = {"again": network, "registered": registered}
outputs = {name: np.asarray(one.predict(x, verbose=0)) for name, one in networks.items()}
print(json.dumps({name: one.argmax(axis=-1).tolist() for name, one in outputs.items()}))
"""
"""Trains a specification again, saves and loads the model, and prints what it and the registered
one predict for the test examples."""


def sweep_and_finalize(
    experiment: str, home: Path, *more: str, cwd: Path | None = None
) -> dict[str, Any]:
    sized = ("--trials", "3", "--workers", "2", "--pruner", "none", "--home", str(home))
    swept = assay("sweep", experiment, *sized, *more, cwd=cwd)
    assert swept.code == 0, swept.err
    study = Path(experiment).stem
    wanted = ("--top", "1", "--seeds", "3", "--home", str(home), "--workers", "2", "--json")
    done = assay("finalize", study, *wanted, cwd=cwd)
    assert done.code == 0, done.err
    return done.answer


def trainings(home: Path, study: str) -> list[TrialBegun]:
    journal = Workspace(home).finalize_journal(study)
    return [
        event
        for event, _ in read_events(journal, only=[TrialBegun])
        if isinstance(event, TrialBegun)
    ]


def read_arrays(home: Path, study: str, training: int) -> tuple[Any, Any]:
    folder = Workspace(home).finalists(study) / f"training-{training:04d}"
    with np.load(folder / "predictions.npz") as file:
        return file["predictions"], file["targets"]


def spec_of(begun: TrialBegun, folder: Path, model: tuple[str, ...]) -> dict[str, Any]:
    params: Mapping[str, Any] = begun.params
    return {
        "seed": begun.seed,
        "family": params["family"],
        "model": {name: params[name] for name in model if name in params},
        "train": {name: params[name] for name in TrainSettings.model_fields if name in params},
        "data": {"folder": str(folder), "scale": params["scale"]},
    }


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_predictions_are_those_of_the_network_that_was_trained(
    backend: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    more = ("--epochs", "6", "--backend", backend, "--set", "early_stopping=2")
    answer = sweep_and_finalize("digits-mlp", home, *more)
    (data,) = (home / "data").glob("digits-*")
    begun = trainings(home, "digits-mlp")[0]
    predictions, targets = read_arrays(home, "digits-mlp", begun.trial)
    np.testing.assert_array_equal(targets, np.load(data / "test" / "y.npy"))
    spec = spec_of(begun, data, ("hidden_units", "activation", "hidden_layers"))
    # The model's .keras file takes another way than the checkpoint.
    printed = subprocess.run(
        [
            *(sys.executable, "-c", CHECK, json.dumps(spec), str(tmp_path / "m.keras")),
            *(data / "test", answer["tracking_uri"], answer["registered"]["uri"]),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    labels = json.loads(printed.stdout.splitlines()[-1])
    agree = np.mean(np.asarray(labels["again"]) == predictions)
    assert agree > 0.99, f"{agree:.1%} of the predictions are those of the network"
    # The champion is loaded from the registry, and is the network of the training that it names.
    champion, _ = read_arrays(home, "digits-mlp", answer["registered"]["training"])
    agree = np.mean(np.asarray(labels["registered"]) == champion)
    assert agree > 0.99, f"{agree:.1%} of the predictions are those of the champion"
    leader = answer["finalists"][0]
    assert leader["test"]["mean"] > 0.5


def test_a_regression_is_measured_in_the_unit_of_its_targets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    y = (x @ [1.0, -2.0, 0.5] + 5000.0)[:, None]
    np.savez(tmp_path / "own.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (tmp_path / "own.toml").write_text(
        'title = "x"\ntask = "regression"\n[data]\nname = "npz:own.npz"\n'
        '[model]\nfamily = "linear"\n'
        '[train]\nepochs = 80\noptimizer = "adam"\n'
        "[space]\nlearning_rate = { low = 1e-5, high = 0.1, log = true }\n"
        "[[baseline]]\nlearning_rate = 1e-5\n"
    )
    answer = sweep_and_finalize(str(tmp_path / "own.toml"), tmp_path / "home", cwd=tmp_path)
    begun = trainings(tmp_path / "home", "own")[0]
    predictions, targets = read_arrays(tmp_path / "home", "own", begun.trial)
    assert targets.mean() == pytest.approx(y[300:].mean(), abs=1e-3)
    leader = answer["finalists"][0]
    assert answer["metric"] == "test_mae"
    assert leader["test"]["mean"] < 1.0
    baseline = next(one for one in answer["finalists"] if one["baseline"])
    assert baseline["verdict"] == "worse"
    assert np.abs(predictions - targets).mean() < 2.0
    assert answer["registered"]["uri"] == "models:/own@champion"


def test_a_network_without_a_finite_output_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(ROOTS)
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 1.0, size=(400, 3)).astype(np.float32)
    x[350] = -1.0  # of the test set: no real root
    y = (x[:, 0] > 0.5).astype(np.int64)
    np.savez(tmp_path / "own.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (tmp_path / "own.toml").write_text(
        'title = "x"\n[data]\nname = "npz:own.npz"\nscale = "none"\n'
        '[model]\nfamily = "nets.py:build"\n[train]\nepochs = 2\n'
        "[space]\nhas_root = [true, false]\n[search]\nsampler = 'grid'\n"
    )
    home = tmp_path / "home"
    sized = ("--trials", "2", "--workers", "2", "--home", str(home))
    swept = assay("sweep", "own.toml", *sized, cwd=tmp_path)
    assert swept.code == 0, swept.err
    wanted = ("--top", "2", "--seeds", "3", "--home", str(home), "--json")
    done = assay("finalize", "own", *wanted, cwd=tmp_path)
    assert done.code == 0, done.err
    found = {one["params"]["has_root"]: one for one in done.answer["finalists"]}
    assert found[False]["test"] is not None
    assert (found[True]["test"], found[True]["comparison"]) == (None, None)
    assert "NaN or infinite ones for 1 of 100" in found[True]["failed"][0]
    assert "judged: none of" in done.err


def test_a_users_network_and_split_are_drawn_anew(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(SOURCE)
    (tmp_path / "own.toml").write_text(
        'title = "x"\n[data]\nname = "digits"\n[model]\nfamily = "nets.py:subclassed"\n'
        "[train]\nepochs = 2\n[space]\nlearning_rate = [0.01, 0.001, 0.1]\n"
        '[search]\nsampler = "grid"\n'
    )
    home = tmp_path / "home"
    sized = ("--trials", "3", "--workers", "2", "--home", str(home))
    assert assay("sweep", "own.toml", *sized, cwd=tmp_path, PYTHONPATH="").code == 0
    wanted = ("--top", "1", "--seeds", "3", "--splits", "--home", str(home), "--json")
    done = assay("finalize", "own", *wanted, cwd=tmp_path)
    assert done.code == 0, done.err
    splits = [np.load(folder / "y_validation.npy") for folder in (home / "data").glob("digits-*")]
    assert len(splits) == 4
    assert len({split.tobytes() for split in splits}) == 4
    assert done.answer["finalists"][0]["seeds"] == 3


ROOTS = """
import keras


def build(input_shape, classes, has_root):
    inputs = keras.Input(input_shape)
    x = keras.ops.sqrt(inputs) if has_root else inputs
    return keras.Model(inputs, keras.layers.Dense(classes)(x))
"""


SPY = """
import sys
from pathlib import Path

import keras

LOG = Path(__file__).with_name("opened.txt")


def note(event, arguments):
    if event == "open" and "/test/" in str(arguments[0]) and str(arguments[0]).endswith(".npy"):
        with LOG.open("a") as log:
            log.write(f"{arguments[0]}\\n")


sys.addaudithook(note)


def build(input_shape, classes, hidden_units):
    from assay.models.data import RecordedOpening, open_test_set

    journal = Path.cwd() / "home/journal/own~finalize.jsonl"
    for folder in Path.cwd().glob("home/data/digits-*"):
        try:
            open_test_set(folder, RecordedOpening(str(journal), 1), "unit")
            LOG.with_name("got-it.txt").write_text("the test set")
        except Exception as error:
            LOG.with_name("refused.txt").write_text(str(error))
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hidden_units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))
"""


def test_nothing_in_a_sweep_can_open_the_test_set(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(SPY)
    (tmp_path / "own.toml").write_text(
        'title = "x"\n[data]\nname = "digits"\n[model]\nfamily = "spy.py:build"\n'
        "[train]\nepochs = 1\n[space]\nhidden_units = { low = 8, high = 16 }\n"
    )
    home = ("--home", str(tmp_path / "home"))
    swept = assay("sweep", "own.toml", "--trials", "2", "--workers", "1", *home, cwd=tmp_path)
    assert swept.code == 0, swept.err
    assert "is closed" in (tmp_path / "refused.txt").read_text()
    assert not (tmp_path / "got-it.txt").exists()
    assert not (tmp_path / "opened.txt").exists(), "a worker opened a file of the test set"
    wanted = ("--top", "1", "--seeds", "3", "--workers", "1", *home)
    done = assay("finalize", "own", *wanted, cwd=tmp_path)
    assert done.code == 0, done.err
    # The spy sees it when it happens.
    assert (tmp_path / "opened.txt").exists()
