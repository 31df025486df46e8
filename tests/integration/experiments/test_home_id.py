"""The id of a home: a copy is recognized, also where both homes use one MLflow store."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.tracking.home_id import ensure_home_id, read_home_id
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import DamagedFile
from tests.helpers.command import SWEEP, Done, invoke
from tests.helpers.limits import time_limit

STUDY = "digits-mlp"
HOME_TAG = "assay.home"


@pytest.fixture
def original(tmp_path: Path) -> Path:
    (home := tmp_path / "original").mkdir()
    ensure_home_id(Workspace(home))
    return home


def test_an_id_is_drawn_once_and_says_nothing(original: Path) -> None:
    number = ensure_home_id(Workspace(original))
    assert number == read_home_id(Workspace(original))
    assert json.loads((original / "home.json").read_text()) == {
        "id": number,
        "path": str(original),
    }
    assert len(number) == 32
    assert int(number, 16) >= 0
    (other := original.with_name("other")).mkdir()
    assert read_home_id(Workspace(other)) is None
    assert ensure_home_id(Workspace(other)) != number


def test_a_copy_gets_an_id_of_its_own(original: Path) -> None:
    copy = Path(shutil.copytree(original, original.with_name("copy")))
    of_copy = Path(shutil.copytree(copy, original.with_name("copy of copy")))
    numbers = {ensure_home_id(Workspace(home)) for home in (original, copy, of_copy)}
    assert len(numbers) == 3
    shutil.rmtree(original)
    assert read_home_id(Workspace(copy)) in numbers


def test_a_moved_home_keeps_its_id(original: Path) -> None:
    number = read_home_id(Workspace(original))
    moved = original.rename(original.with_name("moved"))
    assert read_home_id(Workspace(moved)) == ensure_home_id(Workspace(moved)) == number
    original.mkdir()  # a new home in the old place
    assert ensure_home_id(Workspace(original)) != number
    assert read_home_id(Workspace(moved)) == number


def test_another_path_to_a_home_is_no_copy(original: Path) -> None:
    number = read_home_id(Workspace(original))
    (link := original.with_name("link")).symlink_to(original)
    assert read_home_id(Workspace(link)) == number


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda file: file.write_bytes(b"\xff{"),
    "another type": lambda file: file.write_text("[1]"),
    "no id": lambda file: file.write_text(json.dumps({"path": str(file.parent)})),
    "another id": lambda file: file.write_text(
        json.dumps({"id": "x' OR '1", "path": str(file.parent)})
    ),
    "deep": lambda file: file.write_text("[" * 60_000),
    "a link": lambda file: file.symlink_to(file.parent.with_name("precious")),
    "a pipe": lambda file: os.mkfifo(file),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_replaced(damage: str, original: Path) -> None:
    (precious := original.with_name("precious")).write_text("precious")
    (file := original / "home.json").unlink()
    DAMAGES[damage](file)
    with time_limit(10):
        assert read_home_id(Workspace(original)) is None
        number = ensure_home_id(Workspace(original))
    assert read_home_id(Workspace(original)) == number
    assert precious.read_text() == "precious"


def test_a_folder_in_its_place_is_one_line(original: Path) -> None:
    (original / "home.json").unlink()
    (original / "home.json").mkdir()
    with pytest.raises(DamagedFile, match=r"home.json is no regular file; remove it"):
        ensure_home_id(Workspace(original))


@pytest.mark.parametrize("path", ["a\0b", "", "relative", "/proc/self/mem", "/dev/zero"])
def test_a_forged_path_is_harmless(path: str, original: Path) -> None:
    number = read_home_id(Workspace(original))
    (original / "home.json").write_text(json.dumps({"id": number, "path": path}))
    with time_limit(10):
        assert read_home_id(Workspace(original)) == number


@pytest.fixture
def places(store_paths: StorePaths, tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """The options of a home and of its copy, which share an MLflow store outside of both."""
    original = store_paths.workspace.path
    (original / "mlflow.db").rename(tmp_path / "mlflow.db")
    tracking_uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri)
    for run in client.search_runs(["1"]):
        if HOME_TAG in run.data.tags:
            client.delete_tag(run.info.run_id, HOME_TAG)  # as of an earlier release
    options = ("--home", str(original), "--tracking-uri", tracking_uri)
    assert invoke(*SWEEP, "--trials", "6", *options).code == 0
    copy = shutil.copytree(original, tmp_path / "copy")
    return {"original": options, "copy": ("--home", str(copy), "--tracking-uri", tracking_uri)}


def recorded(options: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return what the store has of each run that is not deleted."""
    client = MlflowClient(options[-1])
    return {run.info.run_id: run.to_dictionary() for run in client.search_runs(["1"])}


def call(options: tuple[str, ...], *words: str) -> Done:
    return invoke(*words, *options)


def test_a_copy_leaves_the_runs_of_its_original_alone(
    places: dict[str, tuple[str, ...]],
) -> None:
    before = recorded(places["original"])
    (parent,) = (run for run in before.values() if HOME_TAG in run["data"]["tags"])  # type: ignore[index]
    assert parent["data"]["tags"][HOME_TAG] == read_home_id(  # type: ignore[index]
        Workspace(Path(places["original"][1]))
    )
    for words in ([*SWEEP, "--trials", "7"], ["finalize", STUDY, "--seeds", "3", "--no-report"]):
        done = call(places["copy"], *words)
        assert (done.code, done.out) == (2, ""), done.err
        (line,) = (line for line in done.err.splitlines() if "must be of one home" in line)
        assert "give this one a --study NAME, or another --tracking-uri" in line
    checked = call(places["copy"], "doctor", "--fix", "--json")
    assert [found["study"] for found in checked.answer["differences"]] == [STUDY]
    assert "must be of one home" in checked.answer["differences"][0]["what"]
    deleted = call(places["copy"], "delete", STUDY, "--yes")
    assert deleted.code == 0, deleted.err
    assert "left: the runs in sqlite:///" in deleted.err
    assert recorded(places["original"]) == before
    assert call(places["original"], "doctor").code == 0


def test_a_copy_goes_on_under_another_name_or_in_another_store(
    places: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    before = recorded(places["original"])
    other = call(places["copy"], *SWEEP, "--study", "other")
    assert other.code == 0, other.err
    after = recorded(places["original"])
    assert {number: after[number] for number in before} == before
    elsewhere = (*places["copy"][:3], f"sqlite:///{tmp_path / 'elsewhere.db'}")
    for trials in ("7", "8"):
        done = call(elsewhere, *SWEEP, "--trials", trials)
        assert done.code == 0, done.err
    assert {number: recorded(places["original"])[number] for number in before} == before
    assert call(places["original"], *SWEEP, "--trials", "7").code == 0


def test_a_moved_home_goes_on(places: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "copy")
    moved = Path(places["original"][1]).rename(tmp_path / "moved")
    options = ("--home", str(moved), *places["original"][2:])
    done = call(options, *SWEEP, "--trials", "7")
    assert done.code == 0, done.err
