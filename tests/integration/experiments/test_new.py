"""`assay new` writes an experiment that can be swept, and overwrites nothing."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.config.experiment import read_experiment
from assay.experiments.data import PUBLISHED_SETS
from assay.models.architectures.registry import FAMILIES
from tests.helpers.command import Done, invoke

New = Callable[..., Done]


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> New:
    """Run `assay new` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: invoke("new", *arguments)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(file: Path, training: int, shape: tuple[int, ...] = (4,)) -> None:
    arrays = {
        name: np.zeros((number, *shape), "float32")
        for name, number in (("x_train", training), ("x_test", 10))
    }
    np.savez(file, **arrays, y_train=np.arange(training) % 2, y_test=np.arange(10) % 2)


@pytest.mark.parametrize("data", PUBLISHED_SETS)
@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_and_data_set_gives_an_experiment_with_several_searched_parameters(
    model: str, data: str, new: New, tmp_path: Path
) -> None:
    done = new("mine", "--model", model, "--data", data)
    assert (done.code, done.err) == (0, "")
    experiment = read_experiment(tmp_path / "mine.toml")
    assert (experiment.family.name, experiment.data.name) == (model, data)
    assert len(experiment.space) >= 3
    (baseline,) = experiment.baseline_configurations()
    assert set(baseline) == set(experiment.space)
    experiment.check_input(PUBLISHED_SETS[data].shape)
    assert files(tmp_path) == ["mine.toml"]


def test_every_setting_is_in_the_file_with_its_description(new: New, tmp_path: Path) -> None:
    new("mine", "--model", "cnn")
    text = (tmp_path / "mine.toml").read_text()
    experiment = read_experiment(tmp_path / "mine.toml")
    for settings in (*experiment.build_settings({}), experiment.search, experiment.data):
        for name, field in type(settings).model_fields.items():
            assert f"{name} =" in text or f"{name}  " in text, name
            assert (
                name in experiment.space
                or name == "name"
                or " ".join((field.description or "?").split())
                in (" ".join(text.replace("\n#", " ").split()))
            ), name
    assert '\n# task = "classification" ' in text
    assert max(map(len, text.splitlines())) <= 120


def test_an_uncommented_setting_has_its_default(new: New, tmp_path: Path) -> None:
    new("mine")
    before = read_experiment(tmp_path / "mine.toml")
    lines = (tmp_path / "mine.toml").read_text().splitlines()
    settings = [line for line in lines if re.match(r"# \w+ = [^ ]", line)]
    assert len(settings) >= 6
    uncommented = [line.removeprefix("# ") if line in settings else line for line in lines]
    (tmp_path / "mine.toml").write_text("\n".join(uncommented))
    after = read_experiment(tmp_path / "mine.toml")
    assert after.hyperparameters({}) == before.hyperparameters({})
    assert (after.data, after.search) == (before.data, before.search)


def test_a_small_data_set_has_small_batches(new: New, tmp_path: Path) -> None:
    rows(tmp_path / "own.npz", training=24)
    assert new("mine", "--data", "npz:own.npz").code == 0
    assert read_experiment(tmp_path / "mine.toml").largest_value("batch_size") == 16
    rows(tmp_path / "own.npz", training=12)
    assert new("smaller", "--data", "npz:own.npz").code == 0
    assert read_experiment(tmp_path / "smaller.toml").largest_value("batch_size") == 10


@pytest.mark.parametrize(
    ("shape", "words"), [((4,), "cnn needs images"), ((3, 3, 1), "at least 8 pixels a side")]
)
def test_a_network_that_cannot_take_the_data_is_refused(
    shape: tuple[int, ...], words: str, new: New, tmp_path: Path
) -> None:
    rows(tmp_path / "own.npz", 24, shape)
    done = new("mine", "--data", "npz:own.npz", "--model", "cnn")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert files(tmp_path) == ["own.npz"]


def test_the_experiment_is_written_to_the_given_folder(new: New, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    rows(tmp_path / "sub" / "own.npz", training=40)
    done = new("sub/mine.toml", "--data", "npz:own.npz")
    assert "assay sweep ./sub/mine.toml" in done.out
    assert read_experiment(tmp_path / "sub" / "mine.toml").data.name == "npz:own.npz"


def test_a_folder_that_cannot_be_written_is_named(new: New) -> None:
    done = new("/proc/mine")
    assert done.code == 2
    assert "can't be written" in done.err


class TestAFunctionOfOnesOwn:
    def test_a_custom_network_file_is_written_beside_the_experiment(
        self, new: New, tmp_path: Path
    ) -> None:
        done = new("mine", "--model", "nets.py:wide")
        assert "mine.toml and nets.py" in done.out
        assert 'family = "nets.py:wide"' in (tmp_path / "mine.toml").read_text()
        assert files(tmp_path) == ["mine.toml", "nets.py"]

    @pytest.mark.parametrize("model", ["nets.py:wide", "package.nets:wide"])
    def test_an_existing_file_is_not_overwritten(
        self, model: str, new: New, tmp_path: Path
    ) -> None:
        (tmp_path / "nets.py").write_text("mine = True")
        assert new("mine", "--model", model).code == 0
        assert (tmp_path / "nets.py").read_text() == "mine = True"
        assert files(tmp_path) == ["mine.toml", "nets.py"]

    @pytest.mark.parametrize("data", ["digits", "sine"])
    @pytest.mark.parametrize(
        "name",
        [
            'x"""; open("harm", "w"); """',
            "x'''; open('harm', 'w'); '''",
            'ends in a quote"',
            '\\"""; open("harm", "w") #',
            "a\\N{no such name} \\xZZ \\u12",
            "{function} {0} %s $HOME",
            "mine; touch harm #",
            "größe",
        ],
    )
    def test_a_name_is_text_in_the_files_whatever_it_is(
        self, name: str, data: str, new: New, tmp_path: Path
    ) -> None:
        done = new(name, "--model", "nets.py:build", "--data", data)
        assert (done.code, done.err) == (0, "")
        module = ast.parse((tmp_path / "nets.py").read_text())
        says, imports, function = module.body
        assert ast.get_docstring(module, clean=False) == f"Networks for {name}.toml."
        assert isinstance(says, ast.Expr)
        assert isinstance(imports, ast.Import)
        assert isinstance(function, ast.FunctionDef)
        assert f"{name}.toml fixes or searches" in (ast.get_docstring(function) or "")
        text = (tmp_path / f"{name}.toml").read_text()
        assert tomllib.loads(text)["model"] == {"family": "nets.py:build"}
        first = text.splitlines()[0].removeprefix("#")
        assert shlex.split(first) == ["assay", "sweep", f"./{name}.toml"]

    @pytest.mark.parametrize("function", ["class", "None", "lambda"])
    def test_a_keyword_names_no_function(self, function: str, new: New, tmp_path: Path) -> None:
        done = new("mine", "--model", f"nets.py:{function}")
        assert done.code == 2
        assert "write nets.py:build" in done.err
        assert files(tmp_path) == []


def test_an_existing_function_gets_no_default_hyperparameters(new: New, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def build(input_shape, classes, units=16):\n    pass\n")
    new("mine", "--model", "nets.py:build")
    assert list(read_experiment(tmp_path / "mine.toml").space) == ["batch_size", "learning_rate"]
