"""A sweep whose names, choices, classes and errors contain terminal control codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.maintenance.doctor import diagnose
from assay.experiments.tracking.schema import encode_param
from assay.experiments.workspace import StorePaths, Workspace
from tests.helpers.command import Done, assay
from tests.helpers.toml import toml

CLEAR = "\x1b[2J"
HARM = f"{CLEAR}[red]<script>alert(1)</script>'\"; DROP TABLE trials; -- ../../💥"
STUDY = "[red]<script>alert(1)</script>'\"; ../../💥"
STEM = f"{CLEAR}[red]<i>'💥"
CHOICES = [f"{HARM}\nsecond line", "raise", "\0", "x" * 7000]
TOML = f"""
title = {toml(HARM + chr(10) + "second")}
source = {toml(HARM)}
[data]
name = "digits"
[model]
family = "nets.py:build"
[train]
epochs = 1
[space]
word = {toml(CHOICES)}
[search]
trials = 4
sampler = "grid"
pruner = "none"
"""
NETS = f"""import keras


def build(input_shape, classes, word):
    if word == "raise" and build.tried:
        raise ValueError({HARM!r} + "\\n" + "y" * 10000 + "\\nlast line \\x00 \\x1b[31m")
    build.tried = True
    layers = [keras.layers.Flatten(), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])


build.tried = False
"""


@dataclass(frozen=True)
class Hostile:
    """The folder of the sweep and its result."""

    folder: Path
    done: Done

    @property
    def store_paths(self) -> StorePaths:
        """Return the stores of the sweep."""
        return StorePaths.choose(home=self.folder / "home")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    folder = tmp_path_factory.mktemp("hostile") / "inside" / "deep"
    folder.mkdir(parents=True)
    (folder / f"{STEM}.toml").write_text(TOML)
    (folder / "nets.py").write_text(NETS)
    asked = ["sweep", f"./{STEM}.toml", "--study", STUDY, "--workers", "1", "--home", "home"]
    return Hostile(folder, assay(*asked, cwd=folder))


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


def test_the_sweep_succeeds_and_prints_no_control_codes(hostile: Hostile) -> None:
    assert hostile.done.code == 0, hostile.done.err
    assert is_harmless(hostile.done.out + hostile.done.err)
    assert "Traceback" not in hostile.done.err


@pytest.mark.parametrize(
    "words",
    [
        ["show", STUDY],
        ["show", STUDY, "--trial", "1"],
        ["list", "studies"],
        ["doctor"],
        ["show", "no" + HARM],
    ],
    ids=lambda words: " ".join(words)[:6],
)
def test_read_only_commands_print_no_control_codes(words: Sequence[str], hostile: Hostile) -> None:
    looked = assay(*words, "--home", "home", cwd=hostile.folder)
    assert is_harmless(looked.out + looked.err), looked
    assert "Traceback" not in looked.err
    assert looked.code == (2 if HARM in words[-1] else 0), looked.err


def test_json_contains_the_hostile_text(hostile: Hostile) -> None:
    looked = assay("show", STUDY, "--json", "--home", "home", cwd=hostile.folder)
    assert looked.out.isascii() or is_harmless(looked.out)
    words = {row["word"] for row in looked.answer["table"]}
    assert {"raise"} < words <= set(CHOICES)
    assert looked.answer["study"] == STUDY


def test_both_stores_contain_the_hostile_text_and_agree(hostile: Hostile) -> None:
    assert diagnose(hostile.store_paths, fix=False).differences == []
    client = MlflowClient(hostile.store_paths.tracking_uri)
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    assert experiment.name == STEM
    runs = client.search_runs([experiment.experiment_id])
    trials = {
        int(run.data.tags["assay.trial"]): run for run in runs if "assay.trial" in run.data.tags
    }
    words = {run.data.params["word"] for run in trials.values()}
    assert {"raise"} < words <= {encode_param(choice) for choice in CHOICES}
    (failed,) = [
        run for run in trials.values() if run.data.tags["assay.state"].startswith("failed")
    ]
    assert failed.data.params["word"] == "raise"
    assert "last line" in failed.data.tags["assay.error"]
    (parent,) = [run for run in runs if "assay.trial" not in run.data.tags]
    assert parent.data.tags["assay.title"] == HARM + "\nsecond"
    assert client.list_artifacts(parent.info.run_id)


def test_no_file_is_written_outside_the_home(hostile: Hostile) -> None:
    root = hostile.folder.parent.parent
    assert {path.name for path in root.iterdir()} == {"inside"}
    assert {path.name for path in hostile.folder.parent.iterdir()} == {"deep"}
    assert {path.name for path in hostile.folder.iterdir()} <= {
        f"{STEM}.toml",
        "nets.py",
        "home",
        "__pycache__",
    }
    home = Workspace(hostile.folder / "home")
    assert home.journal(STUDY).exists()
    for path in home.path.rglob("*"):
        assert path.name.isprintable(), path


@pytest.mark.parametrize(
    "stem", ["..", ".", "a\nb", "x" * 240], ids=["dots", "dot", "lines", "long"]
)
def test_an_experiment_of_any_file_name_stays_in_its_folder(
    stem: str, hostile: Hostile, tmp_path: Path
) -> None:
    (tmp_path / f"{stem}.toml").write_text(
        'title = "t"\n[data]\nname = "digits"\n[model]\nfamily = "linear"\n'
    )
    done = assay("run", f"./{stem}.toml", "--epochs", "1", "--home", "home", cwd=tmp_path)
    assert done.code == 0, done.err
    artifacts = list((tmp_path / "home" / "artifacts").rglob("experiment.toml"))
    assert len(artifacts) == 1
    assert len(list(tmp_path.rglob("experiment.toml"))) == 1
