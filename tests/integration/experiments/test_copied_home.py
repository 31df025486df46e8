"""A home that was copied or moved works on its own files, never on those of its original."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from assay import load_study
from assay.experiments.run.study_locks import acquire_instance
from assay.experiments.tracking.addresses import (
    ArtifactGuard,
    check_addresses,
    find_relocation,
    update_addresses,
)
from assay.experiments.tracking.cursor import read_cursor
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import RequestError
from tests.helpers.command import SWEEP, Swept, invoke
from tests.helpers.limits import time_limit

STUDY = "digits-mlp"


@pytest.fixture
def copy(swept: Swept, tmp_path: Path) -> Path:
    """A copy of a home; the fixture of the original fails if that changes."""
    return Path(shutil.copytree(swept.home, tmp_path / "a copy%2F?"))


def change(home: Path, statement: str, *values: str) -> None:
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute(statement, values)


def addresses(home: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
        query = (
            "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments "
            "WHERE experiment_id > 0"
        )
        return {address for (address,) in database.execute(query)}


def test_a_sweep_in_a_copy_says_so_once_and_writes_there(copy: Path, swept: Swept) -> None:
    home = ("--home", str(copy))
    longer = invoke(*SWEEP, "--trials", "6", *home)
    assert longer.code == 0, longer.err
    assert f"home was copied or moved from {swept.home}: its MLflow store has" in longer.err
    assert longer.answer["parent_run_id"] == swept.answer["parent_run_id"]
    assert {address.startswith((copy / "artifacts").as_uri()) for address in addresses(copy)} == {
        True
    }
    again = invoke(*SWEEP, "--trials", "6", *home)
    assert (again.code, "copied or moved" in again.err) == (0, False)
    checked = invoke("doctor", *home)
    assert checked.code == 0, checked.out


def test_doctor_finds_and_mends_it(copy: Path, swept: Swept) -> None:
    home = ("--home", str(copy))
    found = invoke("doctor", "--json", *home)
    assert found.code == 1
    (first,) = found.answer["differences"]
    assert f"copied or moved from {swept.home}" in first["what"]
    mended = invoke("doctor", "--fix", "--json", *home)
    assert (mended.code, mended.answer["differences"]) == (0, []), mended.out
    assert invoke("doctor", *home).code == 0
    cursor = read_cursor(Workspace(copy).journal(STUDY).with_suffix(".tracked"))
    assert cursor["tracking_uri"] == Workspace(copy).tracking


@pytest.mark.filterwarnings("default::UserWarning")
def test_what_only_reads_says_so_and_writes_nothing(copy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    for words in (["show", STUDY], ["list", "studies"]):
        done = invoke(*words, "--home", str(copy))
        assert done.code == 0, done.err
        assert "warning: home was copied or moved from" in done.err
        assert "assay doctor --fix" in done.err
    with pytest.warns(UserWarning, match="copied or moved"):
        load_study(STUDY, home=copy)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_deleting_in_a_copy_leaves_addresses_that_gc_may_follow(copy: Path) -> None:
    done = invoke("delete", STUDY, "--yes", "--home", str(copy))
    assert done.code == 0, done.err
    assert all(address.startswith((copy / "artifacts").as_uri()) for address in addresses(copy))


def test_a_home_whose_original_is_gone_is_the_same(copy: Path, tmp_path: Path) -> None:
    moved = copy.rename(tmp_path / "moved")
    assert update_addresses(Workspace(moved)) is not None
    assert find_relocation(Workspace(moved)) is None
    client = MlflowClient(Workspace(moved).tracking)
    (parent,) = (
        run for run in client.search_runs(["1"]) if "mlflow.parentRunId" not in run.data.tags
    )
    assert client.list_artifacts(parent.info.run_id, "model")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder outside of home, in which nothing may be written."""
    (folder := tmp_path / "elsewhere").mkdir()
    (folder / "private.key").write_text("private")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["private.key"]


def test_a_run_with_an_address_elsewhere_gets_no_artifacts(
    store_paths: StorePaths, elsewhere: Path
) -> None:
    home = store_paths.workspace.path
    change(home, "UPDATE runs SET artifact_uri = ?", elsewhere.as_uri())
    change(home, "UPDATE experiments SET artifact_location = ?", elsewhere.as_uri())
    done = invoke(*SWEEP, "--trials", "7", "--home", str(home))
    assert done.code == 0, done.err
    assert done.answer["trials"]["complete"] + done.answer["trials"]["pruned"] == 7


def test_a_run_with_an_address_elsewhere_gets_no_model(
    swept: Swept, store_paths: StorePaths, elsewhere: Path
) -> None:
    workspace, best = store_paths.workspace, swept.answer["best"]
    kept = workspace.models(STUDY) / f"trial-{best['number']:04d}.keras"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(next(workspace.artifacts.rglob("model.keras")), kept)
    change(workspace.path, "UPDATE runs SET artifact_uri = ?", elsewhere.as_uri())
    workspace.journal(STUDY).with_suffix(".tracked").unlink()
    invoke("doctor", "--fix", "--home", str(workspace.path))
    shown = invoke("show", STUDY, "--home", str(workspace.path))
    assert "home's store has an address outside of home" in shown.out


SPELLINGS = [
    "sqlite:////{home}/mlflow.db",
    "sqlite:////{home}/x/..//mlflow.db",
    "sqlite:////{link}/mlflow.db",
]


def spell(store_paths: StorePaths, spelling: str) -> str:
    """Return home's own tracking URI in another spelling."""
    home = store_paths.workspace.path
    (home / "x").mkdir()
    (link := home.with_name("link")).symlink_to(home.name)
    return spelling.format(home=str(home)[1:], link=str(link)[1:])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_home_knows_its_store_however_its_path_is_spelled(
    spelling: str, store_paths: StorePaths, elsewhere: Path
) -> None:
    workspace = store_paths.workspace
    guard = ArtifactGuard(spell(store_paths, spelling), workspace.artifacts)
    assert guard.refusal_reason(elsewhere.as_uri()) is not None
    assert guard.refusal_reason((workspace.artifacts / "1" / "run").as_uri()) is None


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_ui_does_not_serve_what_lies_outside_of_home(
    spelling: str, store_paths: StorePaths, elsewhere: Path
) -> None:
    check_addresses(store_paths.workspace)
    change(store_paths.workspace.path, "UPDATE runs SET artifact_uri = ?", elsewhere.as_uri())
    uri = spell(store_paths, spelling)
    done = invoke(
        "ui", "--no-open", "--home", str(store_paths.workspace.path), "--tracking-uri", uri
    )
    assert (done.code, done.out) == (2, "")
    assert "must lie in home: received 6 addresses outside of it, such as file:" in done.err


PLACES = {
    "a trace": (
        "INSERT INTO trace_tags (key, value, request_id) VALUES ('mlflow.artifactLocation', ?, 't')"
    ),
    "an archived trace": (
        "INSERT INTO trace_tags (key, value, request_id) "
        "VALUES ('mlflow.trace.archiveLocation', ?, 't')"
    ),
    "a logged model": (
        "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, "
        "creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage) "
        "VALUES ('m-1', 1, 'm', ?, 0, 0, 0, 'active')"
    ),
    "a model version": (
        "INSERT INTO model_versions (name, version, source, workspace) "
        "VALUES ('m', 1, ?, 'default')"
    ),
    "a workspace": "UPDATE workspaces SET default_artifact_root = ?",
    "archived traces": "UPDATE workspaces SET trace_archival_location = ?",
}
"""How an address gets into each table of MLflow that has some."""


@pytest.mark.parametrize("place", PLACES)
def test_addresses_in_every_table_are_changed_and_checked(
    place: str, swept: Swept, copy: Path, elsewhere: Path
) -> None:
    below = (swept.home / "artifacts" / "1" / "traces").as_uri()
    change(copy, PLACES[place], below)
    assert update_addresses(Workspace(copy)) is not None
    check_addresses(Workspace(copy))
    with contextlib.closing(sqlite3.connect(copy / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump())
    assert below not in dump
    assert (copy / "artifacts" / "1" / "traces").as_uri() in dump
    change(copy, PLACES[place].replace("INSERT", "INSERT OR REPLACE"), elsewhere.as_uri())
    with pytest.raises(RequestError, match=f"such as {elsewhere.as_uri()}"):
        check_addresses(Workspace(copy))


def test_other_tags_of_traces_are_no_addresses(store_paths: StorePaths) -> None:
    statement = "INSERT INTO trace_tags (key, value, request_id) VALUES ('note', ?, 't')"
    change(store_paths.workspace.path, statement, "file:///etc")
    check_addresses(store_paths.workspace)


def test_an_experiment_of_the_users_own_keeps_its_address(
    store_paths: StorePaths, tmp_path: Path
) -> None:
    mine = (tmp_path / "artifacts" / "mine").as_uri()
    MlflowClient(store_paths.tracking_uri).create_experiment("mine", artifact_location=mine)
    assert find_relocation(store_paths.workspace) is None
    assert update_addresses(store_paths.workspace) is None


OWN, SERVER = "sqlite:////home/a/mlruns/mlflow.db", "http://127.0.0.1:5000"
OTHER = "sqlite:////home/other/mlflow.db"


@pytest.mark.parametrize(
    ("tracking_uri", "address", "is_refused"),
    [
        (OWN, "file:///home/a/mlruns/artifacts/1/run/artifacts", False),
        (OWN, "/home/a/mlruns/artifacts/1", False),
        (OWN, "file:///home/b/mlruns/artifacts/1", True),
        (OWN, "file:///home/a/mlruns/artifacts/../../b", True),
        (OWN, "file:///home/a/mlruns/artifacts/%2e%2e/b", True),
        (OWN, "/home/a/mlruns/artifacts/%2e%2e/%2e%2e/b", True),
        (OWN, "file:///home/a/mlruns/artifacts", True),
        (OWN, "file:///home/a/mlruns/artifacts2/1", True),
        (OWN, "file://server/home/a/mlruns/artifacts/1", True),
        (OWN, "relative/artifacts/1", True),
        (OWN, "s3://bucket/1", True),
        (OWN, "file://[", True),
        (SERVER, "mlflow-artifacts:/1/run/artifacts", False),
        (SERVER, "s3://bucket/1", False),
        (SERVER, "file:///etc", True),
        (SERVER, "FILE:///etc", True),
        (SERVER, "/etc", True),
        (SERVER, "file://server/etc", True),
        (OTHER, "file:///home/a/mlruns/artifacts/1/run/artifacts", False),
        (OTHER, "file:///home/b/mlruns/artifacts/1", True),
        (OTHER, "file:///home/other/mlartifacts/1", True),
        (OTHER, "mlartifacts/1", True),
        (OTHER, "file://server/home/a/mlruns/artifacts/1", True),
        (OTHER, "s3://bucket/1", False),
        (OTHER, "mlflow-artifacts:/1", False),
        ("sqlite:///other.db", "file:///home/other/mlartifacts/1", True),
        ("postgresql://db/mlflow", "/mnt/artifacts/1", False),
    ],
)
def test_which_addresses_are_used(tracking_uri: str, address: str, is_refused: bool) -> None:
    guard = ArtifactGuard(tracking_uri, Path("/home/a/mlruns/artifacts"))
    assert (guard.refusal_reason(address) is not None) is is_refused


def test_a_link_among_the_artifacts_is_no_way_out(tmp_path: Path, elsewhere: Path) -> None:
    (artifacts := tmp_path / "home" / "artifacts").mkdir(parents=True)
    (artifacts / "1").symlink_to(elsewhere)
    guard = ArtifactGuard(f"sqlite:///{tmp_path}/home/mlflow.db", artifacts)
    assert "symbolic link" in str(guard.refusal_reason((artifacts / "1" / "run").as_uri()))


def test_a_link_in_the_place_of_an_artifact_is_not_written_through(
    store_paths: StorePaths, elsewhere: Path
) -> None:
    model = next(store_paths.workspace.artifacts.rglob("model.keras"))
    model.unlink()
    model.symlink_to(elsewhere / "private.key")
    store_paths.workspace.journal(STUDY).with_suffix(".tracked").unlink()
    invoke(*SWEEP, "--trials", "8", "--home", str(store_paths.workspace.path))
    assert (elsewhere / "private.key").read_text() == "private"
    assert model.is_symlink()


def hash_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "linked", ["all", "optuna.db", "mlflow.db", f"journal/{STUDY}.jsonl", f"journal/{STUDY}.lock"]
)
def test_a_home_that_shares_files_with_its_copy_is_refused(
    linked: str, store_paths: StorePaths, tmp_path: Path
) -> None:
    original, copy = store_paths.workspace.path, tmp_path / "copy"
    if linked == "all":
        shutil.copytree(original, copy, copy_function=os.link)
    else:
        shutil.copytree(original, copy)
        (copy / linked).unlink()
        os.link(original / linked, copy / linked)
    before = hash_files(original)
    verbs = [[*SWEEP, "--trials", "9"], ["delete", STUDY, "--yes"]]
    if linked in ("all", "mlflow.db"):
        verbs += [["show", STUDY], ["list", "studies"], ["doctor", "--fix"]]
    for words in verbs:
        done = invoke(*words, "--home", str(copy))
        if linked.startswith("journal/") and words[0] == "delete":
            assert done.code == 0, done.err  # its own name of the journal is removed
            assert ("left: " in done.err) is linked.endswith(".lock")
            continue
        assert (done.code, done.out) == (2, ""), (words, done.err)
        (line,) = [line for line in done.err.splitlines() if "must have one name" in line]
        assert "make it again with 'cp -a'" in line
    assert hash_files(original) == before


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


def nest_deeply(path: Path) -> None:
    """Create 1,500 folders one below the other, which no recursion goes down."""
    path.mkdir()
    for _ in range(1_500):
        (path := path / "d").mkdir()


@pytest.mark.parametrize(
    ("replace", "place"),
    [
        (replace_by_folder, "experiment.toml"),
        (replace_by_pipe, "resolved.toml"),
        (replace_by_pipe, "model/MLmodel"),
        (replace_by_folder, "model/MLmodel"),
        (replace_by_file, "model"),
        (replace_by_file, "model/data"),
        (nest_deeply, "model/deep"),
    ],
)
def test_what_is_in_the_way_of_an_artifact_is_named_at_once(
    replace: Callable[[Path], None], place: str, store_paths: StorePaths
) -> None:
    home = store_paths.workspace.path
    folder = next(store_paths.workspace.artifacts.rglob("model.keras")).parents[2]
    replace(folder / place)
    try:
        with time_limit(50):
            done = invoke(*SWEEP, "--trials", "8", "--home", str(home))
        assert done.code == 0, done.err
        shown = invoke("show", STUDY, "--home", str(home))
        checked = invoke("doctor", "--home", str(home))
        assert "Traceback" not in shown.err + checked.err
    finally:
        subprocess.run(["rm", "-rf", str(folder / place)], check=True)  # pytest can't, so deep
    tags = MlflowClient(store_paths.tracking_uri).get_run(done.answer["parent_run_id"]).data.tags
    # The reason why there is no model is in the model's own tag.
    notes = f"{tags.get('assay.refused', '')} {tags['assay.model']}"
    if replace is not nest_deeply:
        assert str(folder / place) in notes
        assert "remove it" in notes


def test_artifacts_with_a_second_name_are_not_written(
    store_paths: StorePaths, tmp_path: Path
) -> None:
    guard = ArtifactGuard.of(store_paths)
    model = next(store_paths.workspace.artifacts.rglob("model.keras"))
    address = model.parents[2].as_uri()
    assert guard.refusal_reason(address) is None
    os.link(model, tmp_path / "second.keras")
    assert f"has a second name, a hard link: {model}" in str(guard.refusal_reason(address))


@pytest.fixture
def copies_of_both(
    swept: Swept, store_paths: StorePaths, tmp_path: Path
) -> Iterator[tuple[Path, str]]:
    """A copy of a home, and of its MLflow store outside of it; the original may not change."""
    original, store = store_paths.workspace.path, tmp_path / "stores" / "mlflow.db"
    store.parent.mkdir()
    # As of an earlier release, whose studies name no home.
    change(original, "DELETE FROM tags WHERE key = ?", "assay.home")
    (original / "mlflow.db").rename(store)
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    copied_store = Path(shutil.copytree(store.parent, tmp_path / "copied stores")) / "mlflow.db"
    files = {path: path.stat().st_mtime_ns for path in original.rglob("*")}
    yield copy, f"sqlite:///{copied_store}"
    assert {path: path.stat().st_mtime_ns for path in original.rglob("*")} == files


def test_a_copied_store_outside_of_home_does_not_lead_to_the_original(
    copies_of_both: tuple[Path, str],
) -> None:
    copy, store = copies_of_both
    places = ("--home", str(copy), "--tracking-uri", store)
    longer = invoke(*SWEEP, "--trials", "7", *places)
    assert longer.code == 0, longer.err
    client = MlflowClient(store)
    parent = client.get_run(longer.answer["parent_run_id"])
    assert "artifacts: the store sqlite:///" in parent.data.tags["assay.refused"]
    assert "has an address outside of home, file://" in parent.data.tags["assay.refused"]
    invoke("doctor", "--fix", *places)


def test_a_copy_leaves_the_sweep_of_its_original_alone(
    store_paths: StorePaths, tmp_path: Path
) -> None:
    original = store_paths.workspace.path
    (original / "optuna.db").rename(tmp_path / "optuna.db")
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    study = optuna.load_study(study_name=STUDY, storage=storage)
    running = study.ask()
    places = ("--home", str(copy), "--storage", storage)
    with contextlib.ExitStack() as stack:
        acquire_instance(stack, StorePaths.choose(original, storage=storage), STUDY)
        found = invoke("doctor", "--fix", "--json", *places)
        assert "is being run by process" in found.answer["busy"][STUDY]
        for words in ([*SWEEP, "--trials", "7"], ["delete", STUDY, "--yes"], ["finalize", STUDY]):
            done = invoke(*words, *places)
            assert (done.code, done.out) == (2, ""), words
            assert "is being run by process" in done.err
    state = study.get_trials(deepcopy=False)[running.number].state
    assert state is optuna.trial.TrialState.RUNNING


def test_a_linked_store_is_not_changed(swept: Swept, copy: Path, tmp_path: Path) -> None:
    other = shutil.copytree(swept.home, tmp_path / "other")
    before = (other / "mlflow.db").read_bytes()
    (copy / "user-mlflow").mkdir(exist_ok=True)
    (copy / "user-mlflow" / "mlflow.db").unlink(missing_ok=True)
    (copy / "user-mlflow" / "mlflow.db").symlink_to(other / "mlflow.db")
    assert invoke("doctor", "--fix", "--home", str(copy)).code == 2
    update_addresses(Workspace(copy))
    assert (other / "mlflow.db").read_bytes() == before


def test_links_in_home_are_refused_by_every_command(
    store_paths: StorePaths, elsewhere: Path
) -> None:
    home = store_paths.workspace.path
    for name in ("models", "journal", "checkpoints", "artifacts", "data", "mlflow.db", "optuna.db"):
        aside = home / f"{name}-aside"
        if exists := (home / name).exists():
            (home / name).rename(aside)
        (home / name).symlink_to(elsewhere)
        for words in (["sweep", STUDY], ["show", STUDY], ["doctor", "--fix"], ["list", "studies"]):
            done = invoke(*words, "--home", str(home))
            assert (done.code, done.out) == (2, ""), (name, words)
            assert f"must not be a symbolic link: {home / name} leads to {elsewhere}" in done.err
        (home / name).unlink()
        if exists:
            aside.rename(home / name)
