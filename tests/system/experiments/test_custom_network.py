"""A user-defined network, swept from another folder than the current one."""

from __future__ import annotations

from pathlib import Path

from assay.experiments.tracking.lookup import find_run
from assay.experiments.tracking.schema import encode_name
from assay.experiments.workspace import StorePaths
from tests.helpers.command import assay

NETS = """import keras

from layers import head


class Net(keras.Model):
    def __init__(self, classes, units):
        super().__init__()
        self.flat, self.hidden = keras.layers.Flatten(), keras.layers.Dense(units, "relu")
        self.out = head(classes)

    def call(self, x):
        return self.out(self.hidden(self.flat(x)))

def build(input_shape, classes, units, seed=0):
    if units == 13:
        raise ValueError("thirteen is unlucky")
    return Net(classes, units)
"""
LAYERS = "import keras\n\n\ndef head(classes):\n    return keras.layers.Dense(classes)\n"
OWN = """
title = "a class of one's own"
[data]
name = "digits"
[model]
family = "nets.py:build"
[train]
epochs = 2
[space]
units = [13, 32]
[search]
trials = 2
[[baseline]]
units = 32
"""


def test_a_factory_works_from_any_folder_and_its_errors_name_its_file(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    for name, text in (("nets.py", NETS), ("layers.py", LAYERS), ("own.toml", OWN)):
        (folder / name).write_text(text)
    (elsewhere / "models.py").write_text("raise RuntimeError('the wrong models')")
    (elsewhere / "list.json").write_text('[{"units": 13}, {"units": 32}]')
    own = str(folder / "own.toml")
    done = assay(
        "sweep",
        own,
        "--enqueue",
        "list.json",
        "--workers",
        "1",
        "--home",
        "home",
        "--json",
        cwd=elsewhere,
    )
    assert done.code == 0, done.err
    assert done.answer["trials"]["complete"] == 2
    assert done.answer["trials"]["failed"] >= 1
    assert "nets.py, line 17: ValueError: thirteen is unlucky" in done.err or _told(
        elsewhere / "home", "line 17"
    )
    assert done.answer["best"]["params"] == {"units": 32}
    (folder / "nets.py").write_text(NETS + "# another network, for all that anybody knows\n")
    changed = assay("sweep", own, "--trials", "3", "--home", "home", cwd=elsewhere)
    assert changed.code == 2
    assert "study 'own' was made with another nets.py" in changed.err
    run = assay(
        "run", own, "--set", "seed=3", "--epochs", "1", "--home", "home", "--json", cwd=elsewhere
    )
    assert run.code == 0, run.err
    assert run.answer["params"]["seed"] == 3, "the factory has a hyperparameter of that name"


COMPILED = """import keras


def build(input_shape, classes, units):
    hidden, logits = keras.layers.Dense(units), keras.layers.Dense(classes)
    layers = [keras.Input(input_shape), keras.layers.Flatten(), hidden, logits]
    model = keras.Sequential(layers)
    names, top_k = ("recall@5", "top<5>"), keras.metrics.SparseTopKCategoricalAccuracy
    tops = [top_k(5, name=name) for name in names]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy", *tops])
    return model
"""


def test_a_metric_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(COMPILED)
    (tmp_path / "own.toml").write_text(OWN.replace("[13, 32]", "[16, 32]"))
    done = assay("sweep", "./own.toml", "--workers", "1", "--home", "home", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    looked = assay("doctor", "--home", "home", cwd=tmp_path)
    assert looked.code == 0, looked.out
    record = find_run(StorePaths.choose(home=tmp_path / "home"), done.answer["best"]["run_id"])
    assert record is not None
    for name in ("recall@5", "val_recall@5", "val_top<5>"):
        assert len(record.epoch_metrics[encode_name(name)]) == 2
    assert "assay.refused" not in record.tags


def _told(home: Path, words: str) -> bool:
    return words in StorePaths.choose(home=home).home.journal("own").read_text()
