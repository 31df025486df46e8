"""What a sweep says before it trains, and that nothing which is right draws a warning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.experiments.config.catalog import list_catalog, resolve_experiment
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import Preflight, read_built_in_facts
from assay.experiments.run.session import Session, prepare_data
from assay.experiments.workspace import StorePaths
from assay.search.workers.local_executor import LocalExecutor
from tests.helpers.command import Done, assay
from tests.helpers.runs import runs

NETS = """import keras
from parts import UNITS

def build(input_shape, classes):
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(UNITS),
        keras.layers.Dense(classes),
    ])
"""
EXPERIMENT = """title = "mine"
[data]
name = "digits"
[model]
family = "nets.py:build"
[train]
epochs = 1
[space]
batch_size = [32, 64, 128]
[search]
trials = 1
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text("UNITS = 8\n")
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    return tmp_path


def call(folder: Path, *arguments: str, **environment: str) -> Done:
    home = str(folder / "home")
    return assay(*arguments, "--home", home, "--device", "cpu", cwd=folder, **environment)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with Execution.choose(workers=1).executor() as executor:
        yield executor


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("name", list_catalog())
def test_the_catalogue_draws_no_warning(name: str, home: Path, executor: LocalExecutor) -> None:
    experiment = resolve_experiment(name)
    store_paths = StorePaths.choose(home=home)
    file = store_paths.data_dir / f"{experiment.data.name}.npz"
    if experiment.data.name != "digits" and not file.exists():
        pytest.skip(f"{file.name} is not in the data folder (ASSAY_DATA_DIR)")
    preflight = Preflight(experiment, prepare_data(experiment, store_paths))
    session = Session(preflight, Execution.choose(workers=1), seed=0)
    spec = session.first_spec(experiment.first_configuration())
    preflight = read_built_in_facts(preflight, spec, executor)
    assert preflight.warnings == []
    assert 3 <= len(preflight.lines()) <= 8


def test_facts_are_shown_and_recorded(mine: Path) -> None:
    done = call(mine, "sweep", "./mine.toml", "--json")
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    facts = [line for line in lines if line.startswith("  ")][:5]
    assert [fact.split(":")[0].strip() for fact in facts] == [
        "inputs",
        "targets",
        "split",
        "model",
        "names",
    ]
    assert not any(line.startswith("warning:") for line in lines)
    preflight = done.answer["preflight"]
    assert preflight["input_shape"] == [8, 8, 1]
    assert preflight["classes"]["count"] == 10
    assert (preflight["model_gives"], preflight["loss_takes"]) == ("scores", "scores")
    assert preflight["names"]["train"][:1] == ["batch_size"]
    assert preflight["warnings"] == []
    parent = next(run for run in runs(mine / "home") if "assay.preflight" in run.data.tags)
    assert json.loads(parent.data.tags["assay.preflight"]) == preflight
    assert parent.data.tags["assay.keras.image_data_format"] == "channels_last"
    dry = call(mine, "sweep", "./mine.toml", "--dry-run", "--json")
    assert dry.answer["preflight"] == preflight


def test_a_refused_request_prints_its_line_alone(mine: Path) -> None:
    (mine / "nets.py").write_text(NETS.replace("Dense(classes)", "Dense(classes, 'softmax')"))
    done = call(mine, "sweep", "./mine.toml")
    assert done.code == 2
    assert done.err.startswith("assay: the model of nets.py:build must give logits")
    assert len(done.err.splitlines()) == 1
    assert not (mine / "home" / "mlflow.db").exists()


def test_a_study_is_not_continued_with_another_helper(mine: Path) -> None:
    assert call(mine, "sweep", "./mine.toml").code == 0
    (mine / "parts.py").write_text("UNITS = 16\n")
    done = call(mine, "sweep", "./mine.toml", "--trials", "2")
    assert done.code == 2
    assert "another parts.py, which has changed since" in done.err
    (mine / "parts.py").write_text("UNITS = 8\n")
    assert call(mine, "sweep", "./mine.toml", "--trials", "2").code == 0


def test_a_policy_of_the_file_is_recorded(mine: Path) -> None:
    (mine / "parts.py").write_text(
        "import keras\nkeras.config.set_dtype_policy('mixed_bfloat16')\nUNITS = 8\n"
    )
    assert call(mine, "run", "./mine.toml").code == 0
    [run] = runs(mine / "home")
    assert run.data.tags["assay.precision"] == "mixed_bfloat16"


@pytest.mark.parametrize(
    "settings",
    [
        {"image_data_format": "channels_first"},
        {"floatx": "float64"},
        {"epsilon": 0.1},
    ],
)
def test_keras_json_changes_no_network(tmp_path: Path, settings: dict[str, object]) -> None:
    network = EXPERIMENT.partition("[space]")[0].replace("nets.py:build", "cnn")
    (tmp_path / "mine.toml").write_text(network)
    keras_home = tmp_path / "keras"
    keras_home.mkdir()
    answers = []
    for content in ({}, settings):
        (keras_home / "keras.json").write_text(json.dumps(content))
        done = call(tmp_path, "run", "./mine.toml", "--json", KERAS_HOME=str(keras_home))
        assert done.code == 0, done.err
        answers.append(done.answer["metrics"])
    same = ("parameters", "val_loss", "val_accuracy")
    assert [answers[0][name] for name in same] == [answers[1][name] for name in same]
