"""Experiments as journals record them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from assay.experiments.config.catalog import list_catalog
from assay.experiments.config.experiment import Experiment, parse_experiment, read_experiment
from assay.experiments.config.recorded import record_experiment, restore_experiment
from assay.models.errors import RequestError
from assay.search.events import StudyOpened, from_record, to_record

NETS = "def net(input_shape, classes, width=8, epochs=1): ...\n"
OWN = """title = 'own "quoted"'
[data]
name = "npz:numbers.npz"
[model]
family = "nets.py:net"
[train]
optimizer = "momentum"
[space]
width = { low = 4, high = 16, step = 4 }
train.learning_rate = { low = 1e-3, high = 0.1, log = true }
momentum = { low = 0.5, high = 0.9, when = { width = { low = 8 } } }
batch_size = { choices = [16, 32], when = { width = [8, 16] } }
[search]
objectives = ["maximize val_accuracy", "minimize parameters"]
[[baseline]]
width = 8
train.learning_rate = 0.01
"""


def opened_with(experiment: Experiment, home: Path, name: str | None = "study") -> StudyOpened:
    """Return an event as it is after the journal."""
    event = StudyOpened(
        study=name,
        study_id="id",
        experiment=experiment.name,
        provenance={},
        text=experiment.text,
        data={},
        resolved=record_experiment(experiment, home),
    )
    read = from_record(to_record(event))
    assert isinstance(read, StudyOpened)
    return read


def own_experiment(folder: Path, text: str = OWN) -> Experiment:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nets.py").write_text(NETS)
    (folder / "own.toml").write_text(text)
    return read_experiment(folder / "own.toml")


def assert_same(restored: Experiment, experiment: Experiment) -> None:
    names = ("name", "path", "text", "title", "task", "data", "search", "baselines")
    for name in names:
        assert getattr(restored, name) == getattr(experiment, name), name
    assert restored.family.name == experiment.family.name
    assert restored.space.to_records() == experiment.space.to_records()
    assert list(restored.space) == list(experiment.space)
    assert restored.fixed_hyperparameters() == experiment.fixed_hyperparameters()


@pytest.mark.parametrize("name", list_catalog())
def test_every_experiment_of_the_catalogue_is_restored(name: str, tmp_path: Path) -> None:
    experiment = read_experiment(list_catalog()[name])
    restored = restore_experiment(opened_with(experiment, tmp_path / "home"), tmp_path / "home")
    assert_same(restored, experiment)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"width": 8},
        {"train.epochs": 3, "model.epochs": 2},
        {"learning_rate": 0.02, "validation": 30},
        {"width": 4, "data.scale": "standard"},
        {"batch_size": 32, "l2": 1e-3},
    ],
    ids=str,
)
def test_what_was_set_is_restored(values: dict[str, object], tmp_path: Path) -> None:
    experiment = own_experiment(tmp_path / "project").with_fixed(values)
    experiment = experiment.with_search(trials=7, sampler="random")
    home = tmp_path / "project" / "mlruns"
    assert_same(restore_experiment(opened_with(experiment, home), home), experiment)


def test_a_project_that_was_moved_with_its_home_is_found(tmp_path: Path) -> None:
    experiment = own_experiment(tmp_path / "project")
    opened = opened_with(experiment, tmp_path / "project" / "mlruns")
    (tmp_path / "project").rename(tmp_path / "moved")
    restored = restore_experiment(opened, tmp_path / "moved" / "mlruns")
    assert restored.path == tmp_path / "moved" / "own.toml"


def test_a_journal_of_an_earlier_release_is_refused(tmp_path: Path) -> None:
    experiment = read_experiment(list_catalog()["digits-mlp"])
    opened = dataclasses.replace(opened_with(experiment, tmp_path), resolved=None)
    with pytest.raises(RequestError, match="release that did not record"):
        restore_experiment(opened, tmp_path)


def test_no_code_runs_that_a_journal_alone_names(tmp_path: Path) -> None:
    experiment = own_experiment(tmp_path / "project")
    opened = opened_with(experiment, tmp_path / "home")
    (tmp_path / "project" / "other.py").write_text(NETS)
    own_experiment(tmp_path / "project", OWN.replace("nets.py:net", "other.py:net"))
    with pytest.raises(RequestError, match=r"now names 'other\.py:net'"):
        restore_experiment(opened, tmp_path / "home")
    (tmp_path / "project" / "own.toml").unlink()
    with pytest.raises(RequestError, match="which is not there: put the file back"):
        restore_experiment(opened, tmp_path / "home")


def test_code_in_home_is_not_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    opened = opened_with(own_experiment(home / "packed"), home)
    with pytest.raises(RequestError, match="files in home are not run"):
        restore_experiment(opened, home)


def test_an_experiment_that_left_the_catalogue_is_refused(tmp_path: Path) -> None:
    experiment = read_experiment(list_catalog()["digits-mlp"])
    opened = dataclasses.replace(opened_with(experiment, tmp_path), experiment="gone")
    with pytest.raises(RequestError, match="must be in the catalogue"):
        restore_experiment(opened, tmp_path)


def test_the_text_is_an_experiment_by_itself(tmp_path: Path) -> None:
    experiment = own_experiment(tmp_path).with_fixed({"width": 12})
    assert parse_experiment(tmp_path / "own.toml", experiment.to_toml()).model == {"width": 12}
