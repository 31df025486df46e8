"""URLs of SQLite files, and masking of secrets in URLs."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy.dialects.sqlite.pysqlite import dialect as pysqlite
from sqlalchemy.engine import make_url

from assay.models.errors import RequestError
from assay.search.system.urls import (
    absolute_store,
    first_line,
    mask_secrets,
    public_address,
    register_secrets,
    scrub_secrets,
    sqlite_file,
    sqlite_url,
    store_exists,
)
from tests.helpers.paths import ODD_NAMES

SECRET = "hun%40ter%2F2"

MEANT = "hun@ter/2"

URLS = [
    (
        "postgresql+psycopg://assay:{}@127.0.0.1:9/none",
        "postgresql+psycopg://assay:***@127.0.0.1:9/none",
    ),
    ("postgresql+psycopg://127.0.0.1:9/none?user=assay&password={}", "?user=assay&password=***"),
    (
        "postgresql+psycopg://assay@127.0.0.1:9/none?sslpassword={}&sslmode=require",
        "sslpassword=***&sslmode=require",
    ),
    ("https://{}@127.0.0.1:9/", "https://***@127.0.0.1:9/"),
    ("http://assay:{}@127.0.0.1:9", "http://***@127.0.0.1:9"),
    ("http://{}:@127.0.0.1:9", "http://***@127.0.0.1:9"),
    ("http://127.0.0.1:9/?token={}", "http://127.0.0.1:9/?token=***"),
    ("HTTPS://{}@127.0.0.1:9/", "HTTPS://***@127.0.0.1:9/"),
    ("POSTGRESQL://assay:{}@db/none", "POSTGRESQL://assay:***@db/none"),
    ("http://127.0.0.1:9/#{}", "http://127.0.0.1:9/#***"),
    ("http://127.0.0.1:9/?{}", "http://127.0.0.1:9/?***"),
    ("https://store/?sig={}&mode=ro", "?sig=***&mode=ro"),
    ("https://store/?X-Amz-Signature={}", "?X-Amz-Signature=***"),
    ("mysql://127.0.0.1/db?charset=utf8&pw={}", "?charset=utf8&pw=***"),
    ("mysql://127.0.0.1/db?anything={}#x", "?anything=***#***"),
    ("sqlite+pysqlcipher://:{}@//tmp/a.db?cipher=aes", "://:***@//tmp/a.db?cipher=aes"),
    ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}%3B", "?odbc_connect=***"),
    ("mssql+pyodbc:///?odbc_connect=DRIVER=x;UID=sa;PWD={}", "=***;UID=sa;PWD=***"),
    ("postgresql://db/none?user=x%20password%3D{}", "?user=***"),
]


def leaked(text: str) -> bool:
    return any(form in text for form in (SECRET, MEANT, "ter%2F2", "ter/2", "hun@ter", "hun%40ter"))


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        (url, shown, secret)
        for url, shown in URLS
        # All other letters of an option's value are percent-encoded.
        for secret in ([SECRET, MEANT, "pa:ss", "a?b@c"] if "{}@" in url else [SECRET])
    ],
)
def test_a_password_is_masked_anywhere_in_the_url(url: str, shown: str, secret: str) -> None:
    assert mask_secrets(url.format(secret)).endswith(shown)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://assay@host/db",
        "http://127.0.0.1:5000",
        "sqlite:////a@b:c/d@e.db",
        "sqlite:////a#b.db?timeout=20",
        "sqlite:///file:/tmp/a.db?mode=ro&uri=true",
        "postgresql://host/db?sslmode=require&connect_timeout=3&application_name=assay",
        "mssql://host/db?driver=ODBC+Driver+18+for+SQL+Server",
    ],
)
def test_a_url_without_a_secret_is_unchanged(url: str) -> None:
    assert mask_secrets(url) == url


@pytest.mark.parametrize(
    "url",
    ["postgresql://host:5432/db?password=hun@ter/2", "postgresql://host/db?password=hun@ter/2"],
)
def test_an_option_with_an_at_sign_is_masked_as_a_whole(url: str) -> None:
    assert not leaked(mask_secrets(url))


@pytest.mark.parametrize("url", [url for url, _ in URLS if url.lower().startswith("http")])
def test_the_public_address_of_a_server_has_no_secret(url: str) -> None:
    address = public_address(url.format(SECRET))
    assert address in ("http://127.0.0.1:9", "https://127.0.0.1:9", "https://store")


@pytest.mark.parametrize(
    "url", ["http://ann:a/b@host", "http://a/b@host", "http://a?b@host", "http://a#b@host", "http:"]
)
def test_an_address_whose_login_ends_nowhere_has_no_public_form(url: str) -> None:
    with pytest.raises(RequestError, match="percent-encoded"):
        public_address(url)


def test_the_path_of_a_server_is_public() -> None:
    assert public_address("http://[::1]:5000/team/") == "http://[::1]:5000/team"


@pytest.mark.parametrize("url", [url for url, _ in URLS])
def test_every_secret_that_is_masked_is_scrubbed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.search.system.urls._secrets", set())
    register_secrets(url.format(SECRET))
    assert not leaked(scrub_secrets(f"{SECRET} {MEANT} {MEANT!r}"))


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"])
def test_secrets_in_variables_are_scrubbed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.search.system.urls._secrets", set())
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv(name, MEANT)
    register_secrets("http://127.0.0.1:9")
    login = base64.b64encode(f"ann:{MEANT}".encode()).decode()
    said = scrub_secrets(f"{MEANT}, {SECRET}" + (login if "PASSWORD" in name else ""))
    assert not leaked(said)
    assert login not in said


def test_ordinary_words_of_options_stay_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.search.system.urls._secrets", set())
    register_secrets("mysql://host/db?local_infile=true&port=3306&read_timeout=100&pin=4711")
    assert scrub_secrets("true, 3306, 100, 4711") == "true, 3306, 100, ***"


@pytest.mark.parametrize(
    "said", [SECRET, MEANT, "hun%40ter/2", repr(MEANT), "hun@ter%2F2"[:3] + "%40ter%2F2"]
)
def test_a_library_message_contains_no_password(said: str) -> None:
    register_secrets(URLS[0][0].format(SECRET))
    assert not leaked(scrub_secrets(f"can't log in with {said} on /api/2.0"))


def test_an_error_is_told_in_its_first_line() -> None:
    register_secrets(URLS[0][0].format(SECRET))
    assert first_line(OSError(f"\n can't log in with {MEANT}\ndetails")) == "can't log in with ***"
    assert first_line(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_url_of_a_file_leads_sqlalchemy_and_optuna_to_it(name: str) -> None:
    file = Path("/tmp") / name / "optuna.db"
    url = sqlite_url(file)
    # Optuna formats the URL before SQLAlchemy reads it.
    assert make_url(url.format(SCHEMA_VERSION=12)).database == str(file)
    assert sqlite_file(url) == file


@pytest.mark.parametrize("name", ["mlruns", "my runs", "50%", "a#b", "日本", "x=1&key=2"])
def test_the_url_of_a_file_is_readable_where_it_can_be(name: str) -> None:
    assert sqlite_url(Path("/tmp", name)) == f"sqlite:////tmp/{name}"
    assert mask_secrets(sqlite_url(Path("/tmp", name))) == f"sqlite:////tmp/{name}"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_mlflow_creates_no_folder_beside_an_odd_one(name: str, tmp_path: Path) -> None:
    # `mlflow.store.db.utils._make_parent_dirs_if_sqlite`, which does not unquote.
    path = sqlite_url(tmp_path / name / "mlflow.db").removeprefix("sqlite:///")
    assert Path(path).parent in (tmp_path / name, Path())


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///optuna.db",
        "sqlite:////tmp/optuna.db",
        "sqlite+pysqlite:////tmp/optuna.db",
        "sqlite:///optuna.db?timeout=20",
        "sqlite:////tmp/a%20b/optuna.db",
        "sqlite:////tmp/100%/optuna.db",
        "sqlite:///file:/tmp/a%2520b.db?mode=ro&uri=true",
    ],
)
def test_the_file_of_a_url_is_the_one_that_sqlite_opens(url: str) -> None:
    ((filename,), options) = pysqlite().create_connect_args(make_url(url))
    if options.get("uri"):
        filename = unquote(urlsplit(filename).path)
    file = sqlite_file(url)
    assert file is not None
    assert str(file.absolute()) == filename


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/optuna",
        "http://127.0.0.1:5000",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:shared?mode=memory&uri=true",
    ],
)
def test_other_stores_are_no_file(url: str) -> None:
    assert sqlite_file(url) is None
    assert store_exists(url)


@pytest.mark.parametrize(
    ("url", "is_changed"),
    [
        ("sqlite:///mlflow.db", True),
        ("sqlite:///a/../mlflow.db?timeout=20", True),
        ("sqlite:////tmp/mlflow.db", False),
        ("sqlite://", False),
        ("postgresql://ann@db/mlflow", False),
    ],
)
def test_a_store_by_a_relative_path_becomes_absolute(
    url: str, is_changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = absolute_store(url)
    assert (absolute != url) is is_changed
    if is_changed:
        assert sqlite_file(absolute) == sqlite_file(url).absolute()  # type: ignore[union-attr]


def test_of_secrets_that_overlap_nothing_is_left() -> None:
    for url in ("http://bob:first5@db", "http://eve:first55@db"):
        register_secrets(url)
    assert scrub_secrets("http://bob:first55@db") == "http://***@db"
    assert scrub_secrets("first55 first5 first") == "*** *** first"
