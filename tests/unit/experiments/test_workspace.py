"""Paths of home and of the data, as users give them."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.parse
from pathlib import Path

import pytest

from assay.experiments.workspace import StorePaths, Workspace, file_name
from assay.models.errors import RequestError
from tests.helpers.paths import ODD_NAMES

ELSEWHERE = {"storage": "postgresql://db/optuna", "tracking_uri": "http://127.0.0.1:5000"}

LONG = "/".join(["x" * 100] * 5)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_home_may_have_an_odd_name(name: str, tmp_path: Path) -> None:
    assert StorePaths.choose(home=tmp_path / name).workspace.path == tmp_path / name


@pytest.mark.parametrize(
    ("home", "rule"),
    [
        (LONG, "at most 465 bytes"),
        ("日" * 60 + "/" + LONG[:330], "at most 465 bytes"),
        ("a\udcffb", "a path in UTF-8"),
        ("a\0b", "without NUL characters"),
        ("~no-such-user/x", "an existing user's folder"),
    ],
)
def test_a_home_that_can_hold_no_store_is_refused(home: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=rule) as refused:
        StorePaths.choose(home=home if home.startswith("~") else f"{tmp_path}/{home}")
    assert str(refused.value).startswith("home must be a path ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [LONG, "a\udcffb"])
def test_home_may_be_anywhere_if_both_stores_are_servers(name: str, tmp_path: Path) -> None:
    assert StorePaths.choose(tmp_path / name, None, **ELSEWHERE).workspace.path == tmp_path / name


@pytest.mark.parametrize("store", ["storage", "tracking_uri"])
def test_a_long_home_with_one_store_is_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="at most 465 bytes"):
        StorePaths.choose(tmp_path / LONG, None, **{**ELSEWHERE, store: None})  # type: ignore[arg-type]


SQLITE_FORMS = [
    "sqlite:///{path}",
    "SQLite+pysqlite:///{path}?timeout=5",
    "sqlite:///file:{path}?uri=true",
    "sqlite:///file://localhost{path}?mode=rw&uri=1",
    "sqlite:///file:{quoted}?uri=true",
    "sqlite:///{quoted}",
]


@pytest.mark.parametrize("form", SQLITE_FORMS)
@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("store", ["storage", "tracking_uri"])
def test_a_pipe_is_no_database(store: str, suffix: str, form: str, tmp_path: Path) -> None:
    database = tmp_path / "mine.db"
    os.mkfifo(f"{database}{suffix}")
    quoted = urllib.parse.quote(str(database), safe="")
    url = form.format(path=database, quoted=quoted)
    with pytest.raises(RequestError, match=f"mine.db{suffix} must be a file") as refused:
        StorePaths.choose(tmp_path / "home", None, **{**ELSEWHERE, store: url})  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["folder", "socket", "link to a pipe", "link to a device"])
def test_no_other_kind_of_file_is_a_database(kind: str, tmp_path: Path) -> None:
    database = tmp_path / "mine.db"
    with contextlib.ExitStack() as stack:
        if kind == "folder":
            database.mkdir()
        elif kind == "socket":
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(database))
        else:
            os.mkfifo(tmp_path / "pipe")
            database.symlink_to("/dev/zero" if "device" in kind else tmp_path / "pipe")
        with pytest.raises(RequestError, match=r"mine\.db must be a file"):
            StorePaths.choose(tmp_path / "home", storage=f"sqlite:///{database}")


def test_a_linked_database_is_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.db").touch()
    (tmp_path / "mine.db").symlink_to(tmp_path / "elsewhere.db")
    url = f"sqlite:///{tmp_path}/mine.db"
    assert StorePaths.choose(tmp_path / "home", storage=url).storage == url


def test_the_folder_of_the_data_must_be_a_path() -> None:
    with pytest.raises(RequestError, match=r"^data-dir must be a path .*~no-such-user/x"):
        StorePaths.choose(data_dir="~no-such-user/x")


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("spelling", "is_own"),
    [
        ("sqlite:////{home}/{name}.db", True),
        ("sqlite:////{home}/./x/..//{name}.db", True),
        ("SQLITE:////{home}/{name}.db?timeout=20", True),
        ("sqlite:///file:/{home}/{name}.db?uri=true", True),
        ("sqlite+pysqlite:////{home}/%{code:x}{rest}.db", True),
        ("sqlite:////{link}/{name}.db", True),
        ("sqlite:///home/{name}.db", True),
        ("sqlite:////{home}/{name}2.db", False),
        ("sqlite:////{home}/x/{name}.db", False),
        ("sqlite:///", False),
        ("sqlite:////{home}/{name}%00.db", False),
        ("postgresql://db{home}/{name}.db", False),
        ("http://{home}/{name}.db", False),
    ],
)
def test_homes_own_stores_are_known_in_every_spelling(
    spelling: str, is_own: bool, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("home")
    monkeypatch.chdir(tmp_path)
    if exists:
        for file in ("optuna.db", "mlflow.db", "optuna2.db", "mlflow2.db"):
            (tmp_path / "home" / file).touch()
    storage, tracking_uri = (
        spelling.format(
            home=str(tmp_path / "home")[1:],
            link=str(tmp_path / "link")[1:],
            name=name,
            code=ord(name[0]),
            rest=name[1:],
        )
        for name in ("optuna", "mlflow")
    )
    chosen = StorePaths.choose(tmp_path / "home", None, storage, tracking_uri)
    assert (chosen.has_own_storage, chosen.has_own_tracking) == (is_own, is_own)


@pytest.mark.parametrize(
    "uri", ["file:./mlruns", "file:///tmp/mlruns", "./mlruns", "mlruns", "/tmp/mlruns", "~/mlruns"]
)
@pytest.mark.parametrize("is_variable", [False, True])
def test_the_file_store_of_mlflow_is_refused(
    uri: str, is_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_variable:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(
        RequestError, match=r"must be a database or a server.*sqlite:///"
    ) as refused:
        StorePaths.choose(home=tmp_path, tracking_uri=None if is_variable else uri)
    assert repr(uri) in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlflow.db",
        "sqlite:////tmp/file:/mlflow.db",
        "http://127.0.0.1:5000",
        "postgresql+psycopg://db/mlflow",
        "databricks",
        "databricks://profile",
        "",
    ],
)
def test_databases_and_servers_are_taken(uri: str, tmp_path: Path) -> None:
    chosen = StorePaths.choose(home=tmp_path, tracking_uri=uri)
    assert chosen.tracking_uri == (uri or chosen.workspace.tracking)


def test_a_user_may_keep_the_file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow's own variable
    assert StorePaths.choose(home=tmp_path, tracking_uri="./mlruns").tracking_uri == "./mlruns"


def test_no_two_names_give_one_file() -> None:
    names = ["→", "!92", "%e2%86%92", "a/b", "a%2fb", "\ud800", "é!", "é", "~", "%7e"]
    assert len({file_name(name) for name in names}) == len(names)


def test_only_other_instances_have_numbers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "journal").mkdir()
    for name in ("a~2.jsonl", "a~10.lock", "a~1.lock", "a~01.jsonl", "a~0.lock", "a~٣.jsonl"):
        (tmp_path / "journal" / name).touch()
    assert workspace.instances("a") == [1, 2, 10]
