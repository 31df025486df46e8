"""Experiments and lists as editors save them, and names of files that are nearly right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.request import read_configurations
from assay.models.errors import RequestError

TEXT = 'title = "Größe"\r\n[data]\r\nname = "digits"\r\n[model]\r\nfamily = "mlp"\r\n'
SEARCHED = TEXT + "[space]\r\nhidden_units = [8, 16]\r\n"
CONFIGURATIONS = json.dumps([{"hidden_units": 8}])


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_text(encoding: str) -> None:
    Path("mine.toml").write_bytes(SEARCHED.encode(encoding))
    Path("list.json").write_bytes(CONFIGURATIONS.encode(encoding))
    experiment = resolve_experiment("./mine.toml")
    assert experiment.title == "Größe"
    assert experiment.text.startswith("title")
    assert read_configurations("list.json", experiment) == [{"hidden_units": 8}]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", "it is UTF-16, not UTF-8: save it as UTF-8"),
        ("utf-32", "it is UTF-32, not UTF-8: save it as UTF-8"),
        ("latin-1", r"it is not UTF-8 \(byte 0xf6 at position 11\): save it as UTF-8"),
    ],
)
def test_another_encoding_is_refused_by_its_name(encoding: str, words: str) -> None:
    Path("mine.toml").write_bytes(TEXT.encode(encoding))
    with pytest.raises(RequestError, match=f"mine.toml can't be read: {words}"):
        resolve_experiment("./mine.toml")
    Path("list.json").write_bytes('[{"größe": 1}]'.encode(encoding))
    with pytest.raises(RequestError, match=r"list.json can't be read as JSON: it is (not )?UTF"):
        read_configurations("list.json", resolve_experiment("digits-mlp"))


@pytest.mark.parametrize(
    ("there", "asked", "words"),
    [
        ("mine.toml", "mine", "write ./mine.toml"),
        ("mine.TOML", "mine", "write ./mine.TOML"),
        ("mine/a.toml", "mine", "write ./mine/a.toml"),
        ("mine.toml", "./mine", "there is no file mine: .* Did you mean ./mine.toml?"),
        ("mine/a.toml", "mine/", "mine is a folder: .* Did you mean ./mine/a.toml?"),
        ("mine/a.toml", "./mine", "mine is a folder: .* Did you mean ./mine/a.toml?"),
        ("mine/a.txt", "./mine", "mine is a folder: give the path of an experiment's TOML.$"),
        ("mine.toml/a", "mine.toml", "mine.toml is a folder"),
        ("other.toml", "mine", "unknown experiment 'mine'"),
        ("mine.toml", "mi\0ne", "unknown experiment"),
    ],
)
def test_a_path_that_is_nearly_right(there: str, asked: str, words: str) -> None:
    Path(there).parent.mkdir(exist_ok=True)
    Path(there).write_text(TEXT)
    with pytest.raises(RequestError, match=words):
        resolve_experiment(asked)


@pytest.mark.parametrize("name", ["mine.toml", "mine.TOML", "./mine.Toml"])
def test_a_toml_of_any_case_is_a_path(name: str) -> None:
    Path(name).write_text(TEXT)
    assert resolve_experiment(name).name == "mine"
