"""A home from elsewhere: planted links, forged and damaged journals harm nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from assay.experiments.tracking.ui import study_page
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from tests.helpers.command import SWEEP, Done, invoke
from tests.helpers.limits import time_limit

STUDY = "digits-mlp"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A file of the user's outside of home, which nothing may change or keep."""
    (file := tmp_path / "id_rsa").write_text("private key")
    yield file
    assert file.read_text() == "private key"


def call(store_paths: StorePaths, *words: str) -> Done:
    return invoke(*words, "--home", str(store_paths.workspace.path))


def as_lines(events: list[dict[str, Any]]) -> str:
    """Return events as a journal has them: readers skip lines by how they begin."""
    return "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events)


def kept_text(home: Path) -> str:
    """Return what MLflow keeps as files."""
    files = [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode(errors="replace") for path in files)


PLANTED = {"the journal": ".jsonl", "the lock": ".lock"}


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("place", PLANTED)
def test_what_is_planted_for_a_file_is_refused(
    place: str, kind: str, store_paths: StorePaths, private: Path
) -> None:
    path = store_paths.workspace.journal(STUDY).with_suffix(PLANTED[place])
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(private)
    else:
        os.mkfifo(path)
    done = call(store_paths, *SWEEP, "--trials", "6")
    assert (done.code, done.out) == (2, "")
    assert f"{path} is {'a symbolic link' if kind == 'link' else 'no regular file'}" in done.err
    if place == "the journal":
        deleted = call(store_paths, "delete", STUDY, "--yes")
        assert deleted.code == 0, deleted.err
        assert not os.path.lexists(path)


def super_journal(victim: Path) -> bytes:
    """Return a rollback journal of SQLite that names a file, which SQLite would delete."""
    name = str(victim).encode()
    header = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, 1, 512, 4096)
    numbers = struct.pack(">II", len(name), sum(name))
    return header.ljust(512, b"\0") + struct.pack(">I", 1) + name + numbers + header[:8]


@pytest.mark.parametrize("database", ["optuna.db", "mlflow.db", "user-mlflow/mlflow.db"])
@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("names a file", "journal"), ("pipe", "journal"), ("pipe", "wal"), ("link", "shm")],
)
def test_what_is_planted_beside_a_database_is_refused(
    kind: str, suffix: str, database: str, store_paths: StorePaths, private: Path
) -> None:
    path = store_paths.workspace.path / f"{database}-{suffix}"
    path.parent.mkdir(exist_ok=True)
    if kind == "names a file":
        path.write_bytes(super_journal(private))
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(private)
    for words in (["list", "studies"], ["show", STUDY], ["delete", STUDY, "--yes"]):
        done = call(store_paths, *words)
        assert (done.code, done.out) == (2, "")
        assert str(path) in done.err
    assert private.exists()


def test_a_rollback_journal_of_a_killed_process_is_none_of_these(store_paths: StorePaths) -> None:
    database = store_paths.workspace.path / "optuna.db"
    script = (
        "import os, sqlite3, sys\nopened = sqlite3.connect(sys.argv[1])\n"
        "opened.execute('PRAGMA cache_size = 1')\nopened.execute('BEGIN IMMEDIATE')\n"
        "opened.execute('CREATE TABLE filler (x)')\n"
        "opened.executemany('INSERT INTO filler VALUES (?)', [('x' * 4000,)] * 2000)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(database)], check=True)
    assert database.with_name("optuna.db-journal").stat().st_size > 0
    assert call(store_paths, "show", STUDY).code == 0


@pytest.mark.parametrize("suffix", [".tracked", ".tracked-new"])
def test_a_planted_cursor_is_replaced(suffix: str, store_paths: StorePaths, private: Path) -> None:
    path = store_paths.workspace.journal(STUDY).with_suffix(suffix)
    path.unlink(missing_ok=True)
    path.symlink_to(private)
    done = call(store_paths, *SWEEP, "--trials", "6")
    assert done.code == 0, done.err
    assert not path.is_symlink()


@pytest.mark.parametrize("suffix", [".tracked", ".tracked-new"])
def test_a_folder_in_the_place_of_a_cursor_is_refused_at_once(
    suffix: str, store_paths: StorePaths
) -> None:
    path = store_paths.workspace.journal(STUDY).with_suffix(suffix)
    path.unlink(missing_ok=True)
    path.mkdir()
    with time_limit(45):
        done = call(store_paths, *SWEEP, "--trials", "6")
    assert (done.code, done.out) == (2, ""), done.err
    assert f"{path} is no regular file; remove it" in done.err
    for words in (["show", STUDY], ["doctor"], ["doctor", "--fix"]):
        done = call(store_paths, *words)
        assert "Traceback" not in done.err, done.err
    assert call(store_paths, "delete", STUDY, "--yes").code == 0


def test_a_journal_cannot_name_the_model(store_paths: StorePaths, private: Path) -> None:
    journal = store_paths.workspace.journal(STUDY)
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert events[-1]["event"] == "study_closed"
    events[-1]["best"][0]["model"] = str(private)
    journal.write_text(as_lines(events))
    journal.with_suffix(".tracked").unlink()
    model = next(store_paths.workspace.artifacts.rglob("model.keras"))
    before = model.read_bytes()
    assert call(store_paths, "doctor", "--fix").code == 0
    assert model.read_bytes() == before
    assert "private key" not in kept_text(store_paths.workspace.path)


def test_a_linked_model_is_not_kept(store_paths: StorePaths, private: Path) -> None:
    folder = store_paths.workspace.models(STUDY)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.keras"):
        path.unlink()
    for number in range(5):
        (folder / f"trial-{number:04d}.keras").symlink_to(private)
    store_paths.workspace.journal(STUDY).with_suffix(".tracked").unlink()
    call(store_paths, "doctor", "--fix")
    assert "private key" not in kept_text(store_paths.workspace.path)


def test_delete_removes_only_what_assay_writes(
    store_paths: StorePaths, private: Path, tmp_path: Path
) -> None:
    workspace = store_paths.workspace
    workspace.models(STUDY).mkdir(parents=True, exist_ok=True)
    (workspace.models(STUDY) / "mine.keras").touch()
    workspace.checkpoints(STUDY).parent.mkdir(exist_ok=True)
    (theirs := tmp_path / "theirs").mkdir()
    (theirs / "seed-1.npz").touch()
    workspace.checkpoints(STUDY).symlink_to(theirs)
    done = call(store_paths, "delete", STUDY, "--yes")
    assert done.code == 0, done.err
    left = [line for line in done.err.splitlines() if line.startswith("left: ")]
    assert [str(workspace.checkpoints(STUDY)) in line for line in left] == [True, False]
    assert str(workspace.models(STUDY)) in left[1]
    assert (workspace.models(STUDY) / "mine.keras").exists()
    assert (theirs / "seed-1.npz").exists()


LOCKS = [
    "journal/digits-mlp.lock",
    "journal/digits-mlp.gate.lock",
    "journal/digits-mlp~3.lock",
    ".optuna.db.digits-mlp.lock",
]


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
@pytest.mark.parametrize("lock", LOCKS)
def test_delete_works_whatever_is_in_the_place_of_a_lock(
    lock: str, kind: str, store_paths: StorePaths, private: Path
) -> None:
    path = store_paths.workspace.path / lock
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(private)
    with time_limit(30):
        done = call(store_paths, "delete", STUDY, "--yes")
    assert done.code == 0, done.err
    (left,) = [line for line in done.err.splitlines() if line.startswith("left: ")]
    assert str(path) in left
    assert not store_paths.workspace.journal(STUDY).exists()


def test_delete_says_everything_that_it_leaves(store_paths: StorePaths) -> None:
    home = store_paths.workspace.path
    DAMAGED_STORES["a view of runs"](home)
    os.mkfifo(home / LOCKS[1])
    (home / "journal" / "digits-mlp.tracked-new").mkdir()
    done = call(store_paths, "delete", STUDY, "--yes")
    assert done.code == 0, done.err
    left = [line for line in done.err.splitlines() if line.startswith("left: ")]
    names = ("mlflow.db", ".gate.lock", ".tracked-new")
    assert [name for name, line in zip(names, left, strict=True) if name in line] == [*names]


def test_a_forged_id_deletes_no_other_study(store_paths: StorePaths) -> None:
    workspace = store_paths.workspace
    opened = json.loads(workspace.journal(STUDY).read_text().splitlines()[0])
    forged = {**opened, "study": "b"}
    workspace.journal("b").write_text(as_lines([forged]))
    client = MlflowClient(store_paths.tracking_uri)
    before = {run.info.run_id for run in client.search_runs(["1"])}
    for words in (["doctor", "--fix"], ["delete", "b", "--yes"]):
        call(store_paths, *words)
        assert {run.info.run_id for run in client.search_runs(["1"])} == before
    assert not workspace.journal("b").exists()
    assert call(store_paths, "doctor").code == 0


def cut(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes().replace(b'"state":"complete"', b'"state":"lost"'))


def add_binary(journal: Path) -> None:
    with journal.open("ab") as file:
        file.write(b"\xff\x00\xfe\n")


def number_of_a_text(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes().replace(b'"trial":0', b'"trial":"0x"'))


def set_in(event: str, **values: object) -> Callable[[Path], None]:
    """Return what changes fields of all events of a kind."""

    def change(journal: Path) -> None:
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        journal.write_text(
            as_lines([one | values if one["event"] == event else one for one in events])
        )

    return change


HUGE = 10**400
NUMBERS: dict[str, Callable[[Path], None]] = {
    "a metric": set_in("epoch_ended", metrics={"val_accuracy": HUGE}),
    "a negative metric": set_in("epoch_ended", metrics={"val_accuracy": -HUGE}),
    "a cost": set_in("trial_ended", metrics={"train_seconds": HUGE}),
    "a value": set_in("trial_ended", values=[HUGE]),
    "seconds": set_in("epoch_ended", seconds=HUGE),
    "a time": set_in("epoch_ended", time=1e300),
    "no time": set_in("trial_ended", time=float("nan")),
    "the best value": set_in("study_closed", best=[{"trial": 0, "values": [HUGE], "model": None}]),
    "a hyperparameter": set_in("trial_begun", searched={"learning_rate": HUGE}),
}


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_that_no_store_holds_are_one_line(number: str, store_paths: StorePaths) -> None:
    NUMBERS[number](store_paths.workspace.journal(STUDY))
    for words in (["show", STUDY], ["show", STUDY, "--trial", "0"], ["doctor"]):
        done = call(store_paths, *words)
        assert "Traceback" not in done.err, (words, done.err)
    assert "line " in done.out or number == "a hyperparameter"


PREFLIGHTS = ["no JSON", "[1]", "null", "7", '"text"', "[" * 60_000, "{}"]


@pytest.mark.parametrize("text", PREFLIGHTS, ids=lambda text: text[:10])
def test_a_preflight_record_that_is_no_object_is_ignored(
    text: str, store_paths: StorePaths
) -> None:
    set_in("study_opened", provenance={"assay.preflight": text})(
        store_paths.workspace.journal(STUDY)
    )
    shown = call(store_paths, "show", STUDY, "--json")
    assert (shown.code, shown.answer["preflight"]) == (0, {}), shown.err


def only_epochs(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(
        b"".join(line for line in lines if b"epoch_ended" in line or b"opened" in line)
    )


def nothing(journal: Path) -> None:
    journal.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, add_binary, number_of_a_text, only_epochs, nothing])
def test_a_damaged_journal_is_one_line_and_can_be_deleted(
    damage: Callable[[Path], None], store_paths: StorePaths
) -> None:
    damage(store_paths.workspace.journal(STUDY))
    for words in (["show", STUDY], ["doctor"], ["doctor", "--fix"], [*SWEEP, "--trials", "6"]):
        done = call(store_paths, *words)
        assert done.code in (0, 1, 2)
        assert "Traceback" not in done.err, (words, done.err)
        if damage in (cut, add_binary, number_of_a_text):
            assert "line " in done.err + done.out
    deleted = call(store_paths, "delete", STUDY, "--yes")
    assert deleted.code == 0, deleted.err
    assert not store_paths.workspace.journal(STUDY).exists()
    assert call(store_paths, "doctor").code == 0


def change(database: str, statement: str) -> Callable[[Path], None]:
    def execute(home: Path) -> None:
        with contextlib.closing(sqlite3.connect(home / database)) as opened, opened:
            opened.execute(statement)

    return execute


def overwrite(database: str) -> Callable[[Path], None]:
    return lambda home: (home / database).write_bytes(b"no database" * 1000) and None


def cut_short(database: str) -> Callable[[Path], None]:
    return lambda home: os.truncate(home / database, 50_000)


DAMAGED_STORES: dict[str, Callable[[Path], None]] = {
    "no storage": overwrite("optuna.db"),
    "half a storage": cut_short("optuna.db"),
    "a distribution": change("optuna.db", "UPDATE trial_params SET distribution_json = '{}'"),
    "an attribute": change("optuna.db", "UPDATE study_user_attributes SET value_json = '{'"),
    "null": change("optuna.db", "UPDATE study_user_attributes SET value_json = 'null'"),
    "its type": change("optuna.db", "UPDATE study_user_attributes SET value_json = '[1]'"),
    "a trial's": change("optuna.db", "UPDATE trial_user_attributes SET value_json = '[1]'"),
    "a state": change("optuna.db", "UPDATE trials SET state = 'LOST'"),
    "a view": change(
        "optuna.db",
        "CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT max(x) FROM n",
    ),
    "a view of runs": change("mlflow.db", "CREATE VIEW endless AS SELECT 1"),
    "a trigger": change("optuna.db", "CREATE TRIGGER t AFTER DELETE ON trials BEGIN SELECT 1; END"),
    "a trigger of runs": change(
        "mlflow.db", "CREATE TRIGGER t BEFORE UPDATE ON runs BEGIN SELECT 1; END"
    ),
    "a virtual table": change("optuna.db", "CREATE VIRTUAL TABLE v USING rtree(id, low, high)"),
    "a trigger that refuses after a query": change(
        "mlflow.db",
        "CREATE TRIGGER t BEFORE UPDATE ON runs FOR EACH ROW WHEN (SELECT 1) BEGIN SELECT "
        "RAISE(ABORT, 'no'); END",
    ),
    "no trials": change("optuna.db", "DROP TABLE trials"),
    "values that are missing": change("optuna.db", "DELETE FROM trial_values"),
    "two values": change(
        "optuna.db",
        "INSERT INTO trial_values SELECT NULL, trial_id, 1, value, value_type FROM trial_values",
    ),
    "a text for a value": change("optuna.db", "UPDATE trial_values SET value = 'x'"),
    "an infinite parameter": change("optuna.db", "UPDATE trial_params SET param_value = 9e999"),
    "a number that is missing": change("optuna.db", "UPDATE trials SET number = NULL"),
    "a number of bytes": change("optuna.db", "UPDATE trials SET number = x'00'"),
    "a negative number": change("optuna.db", "UPDATE trials SET number = -1 - number"),
    "a half character": change(
        "optuna.db",
        "UPDATE trial_user_attributes SET value_json = '\"\\ud800\"' WHERE key = 'assay.origin'",
    ),
    "another release": change("optuna.db", "UPDATE alembic_version SET version_num = 'xxx'"),
    "an infinity": change("optuna.db", "UPDATE trial_values SET value_type = 'INF_POS'"),
    "deep nesting": change(
        "optuna.db",
        "UPDATE study_user_attributes SET value_json = replace(hex(zeroblob(50000)), '00', '[')",
    ),
    "its directions": change("optuna.db", "DELETE FROM study_directions"),
    "a direction more": change(
        "optuna.db",
        "INSERT INTO study_directions (direction, study_id, objective) VALUES ('MINIMIZE', 1, 1)",
    ),
    "values": change("optuna.db", "DELETE FROM trial_values"),
    "a value more": change(
        "optuna.db",
        "INSERT INTO trial_values (trial_id, objective, value, value_type) "
        "SELECT trial_id, 1, 0.5, 'FINITE' FROM trials",
    ),
    "a start": change("mlflow.db", "UPDATE runs SET start_time = 'x'"),
    "no tracking store": overwrite("mlflow.db"),
    "half a tracking store": cut_short("mlflow.db"),
    "no table": change("mlflow.db", "DROP TABLE metrics"),
    "a tag": change("mlflow.db", "UPDATE tags SET value = 'x' WHERE key = 'assay.trial'"),
}


LOST = (
    *("a view", "a view of runs", "another release", "a trigger", "a trigger of runs"),
    *("a trigger that refuses after a query", "a virtual table", "no trials"),
)
"""What keeps a study from being deleted in Optuna."""


SHOWN = (
    *("no trials", "values that are missing", "two values", "a text for a value"),
    *("an infinite parameter", "a number that is missing", "a number of bytes"),
    *("a negative number", "a trigger", "a virtual table"),
)
"""What `show` must not pass over."""


@pytest.mark.parametrize("harm", DAMAGED_STORES)
def test_a_damaged_store_is_one_line_and_delete_works(harm: str, store_paths: StorePaths) -> None:
    DAMAGED_STORES[harm](store_paths.workspace.path)
    for words in (["show", STUDY], ["list", "studies"], ["doctor"]):
        done = call(store_paths, *words)
        assert "Traceback" not in done.err
        assert (done.code == 0) or len(done.err.splitlines()) <= 1
        assert done.code == 2 or words[0] != "show" or harm not in SHOWN
    deleted = call(store_paths, "delete", STUDY, "--yes")
    assert deleted.code == 0, deleted.err
    assert not store_paths.workspace.journal(STUDY).exists()
    left = [line for line in deleted.err.splitlines() if line.startswith("left: ")]
    is_lost = harm.startswith(("no ", "half")) or harm in LOST
    assert len(left) == (is_lost and harm != "no table"), left


def set_tag(tag: str, value: str) -> Callable[[Path], None]:
    quoted = value.replace("'", "''")
    return change("mlflow.db", f"UPDATE tags SET value = '{quoted}' WHERE key = '{tag}'")


QUOTES = "x' OR tags.`assay.study` LIKE '%"
FORGED: dict[str, Callable[[Path], None]] = {
    "a parent that is no run": set_tag("mlflow.parentRunId", "0" * 32),
    "a parent that is no id": set_tag("mlflow.parentRunId", QUOTES),
    "a run without an id": change("mlflow.db", "DELETE FROM tags WHERE key = 'assay.study_id'"),
    "an id with quotes": set_tag("assay.study_id", QUOTES),
    "an id with quotes in Optuna": change(
        "optuna.db",
        "UPDATE study_user_attributes SET value_json = '\"x'' y\"' WHERE key = 'assay.study_id'",
    ),
    "an experiment that is gone": change("mlflow.db", "DELETE FROM experiments WHERE name != 'x'"),
    "another experiment": change("mlflow.db", "DELETE FROM experiments WHERE experiment_id = 1"),
    "an objective": set_tag("assay.objective", "sideways x"),
    "a seed": set_tag("assay.seed", "x"),
    "a best trial": set_tag("assay.best_trial", "x"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_forged_tags_are_at_most_one_line(forgery: str, store_paths: StorePaths) -> None:
    client = MlflowClient(store_paths.tracking_uri)
    runs = [run.info.run_id for run in client.search_runs(["1"])]
    FORGED[forgery](store_paths.workspace.path)
    shown = [["show", run] for run in (runs[0], runs[-1])]  # a trial's, and the study's own
    for words in [*shown, ["show", STUDY], ["doctor"]]:
        done = call(store_paths, *words)
        assert "Traceback" not in done.err, (words, done.err)
        assert done.code == 0 or len(done.err.splitlines()) <= 1
    with contextlib.suppress(RequestError):
        study_page(store_paths, STUDY)
    deleted = call(store_paths, "delete", STUDY, "--yes")
    assert deleted.code == 0, deleted.err


def test_a_damaged_journal_of_a_run_stops_no_sweep(store_paths: StorePaths) -> None:
    (store_paths.workspace.path / "journal" / "run-20260101-000000-1.jsonl").write_text("{}\n")
    done = call(store_paths, *SWEEP, "--trials", "6")
    assert done.code == 0, done.err
    assert "line 1" in call(store_paths, "doctor").out
