"""What is secret in the addresses of stores is in nothing that anybody can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.search.system.urls import keep_secret, masked, scrubbed
from tests.helpers.command import SWEEP, assay

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
]


def leaked(text: str) -> bool:
    return any(form in text for form in (SECRET, MEANT, "ter%2F2", "ter/2", "hun@ter", "hun%40ter"))


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        (url, shown, secret)
        for url, shown in URLS
        # An option's value has all other letters encoded.
        for secret in ([SECRET, MEANT, "pa:ss", "a?b@c"] if "{}@" in url else [SECRET])
    ],
)
def test_a_password_is_masked_wherever_it_stands(url: str, shown: str, secret: str) -> None:
    assert masked(url.format(secret)).endswith(shown)


@pytest.mark.parametrize(
    "url", ["postgresql://assay@host/db", "http://127.0.0.1:5000", "sqlite:////a@b:c/d@e.db"]
)
def test_an_address_without_a_secret_is_left_as_it_is(url: str) -> None:
    assert masked(url) == url


@pytest.mark.parametrize(
    "said", [SECRET, MEANT, "hun%40ter/2", repr(MEANT), "hun@ter%2F2"[:3] + "%40ter%2F2"]
)
def test_what_a_library_says_has_no_password(said: str) -> None:
    keep_secret(URLS[0][0].format(SECRET))
    assert not leaked(scrubbed(f"can't log in with {said} on /api/2.0"))


@pytest.mark.parametrize("url", [url for url, _ in URLS if url.startswith("postgresql")])
def test_a_storage_that_does_not_answer_tells_no_password(url: str, tmp_path: Path) -> None:
    see_nothing(tmp_path, *SWEEP, "--storage", url.format(SECRET))
@pytest.mark.parametrize(
    ("url", "verb"),
    [
        *((url, SWEEP) for url, _ in URLS if url.startswith("http")),
        # One address is enough for verbs that only look.
        *(
            (URLS[4][0], verb)
            for verb in [("doctor",), ("list", "studies"), ("show", "digits-mlp"), ("ui",)]
        ),
    ],
)
def test_a_tracking_server_that_does_not_answer_tells_no_password(
    url: str, verb: tuple[str, ...], tmp_path: Path
) -> None:
    more = ("digits-mlp", "--no-open") if verb == ("ui",) else ()
    see_nothing(tmp_path, *verb, *more, "--tracking-uri", url.format(SECRET))


def see_nothing(folder: Path, *words: str) -> None:
    """Run a command, also by the variables' names; see that nothing that it printed or wrote has the secret in it."""
    home = folder / "home"
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    done = assay(*words, "--home", str(home), **quick)
    assert not leaked(done.out + done.err), done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("assay: ") or done.code == 0 or "\nassay: " in done.err
    for path in home.rglob("*"):
        assert path.is_dir() or not any(
            form.encode() in path.read_bytes() for form in (SECRET, MEANT)
        ), path
def test_a_sweep_that_works_keeps_its_passwords_to_itself(tmp_path: Path) -> None:
    """SQLite takes options it does not know of in its address."""
    home = tmp_path / "home"
    home.mkdir()
    storage = f"sqlite:///file:{home}/optuna.db?uri=true&password={SECRET}"
    more = ["--home", str(home), "--storage", storage]
    done = assay(*SWEEP, *more)
    assert done.code == 0, done.err
    said = done.out + done.err
    for words in (
        ["doctor", "--json"],
        ["list", "studies"],
        ["show", "digits-mlp"],
        [*SWEEP[:-1], "--trials", "6"],
    ):
        looked = assay(*words, *more)
        assert looked.code == 0, looked.err
        said += looked.out + looked.err
    assert not leaked(said)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert (home / "mlflow.db") in files
    for path in files:
        assert not any(form.encode() in path.read_bytes() for form in (SECRET, MEANT)), path
