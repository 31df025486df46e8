"""Secrets in the addresses of stores are never printed or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command import SWEEP, invoke

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


@pytest.mark.parametrize("url", [url for url, _ in URLS if url.startswith("postgresql")])
def test_an_unreachable_storage_leaks_no_password(url: str, tmp_path: Path) -> None:
    see_nothing(tmp_path, *SWEEP, "--storage", url.format(SECRET))


@pytest.mark.parametrize(
    ("url", "verb"),
    [
        *((url, SWEEP) for url, _ in URLS if url.startswith("http")),
        # One address is enough for read-only commands.
        *(
            (URLS[4][0], verb)
            for verb in [
                ("doctor",),
                ("list", "studies"),
                ("show", "digits-mlp"),
                ("ui", "digits-mlp", "--no-open"),
                ("ui", "--no-open"),
            ]
        ),
    ],
)
def test_an_unreachable_tracking_server_leaks_no_password(
    url: str, verb: tuple[str, ...], tmp_path: Path
) -> None:
    see_nothing(tmp_path, *verb, "--tracking-uri", url.format(SECRET))


def see_nothing(folder: Path, *words: str) -> None:
    """Run a command; check that its output and files do not contain the secret."""
    home = folder / "home"
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    done = invoke(*words, "--home", str(home), **quick)
    assert not leaked(done.out + done.err), done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("assay: ") or done.code == 0 or "\nassay: " in done.err
    for path in home.rglob("*"):
        assert path.is_dir() or not any(
            form.encode() in path.read_bytes() for form in (SECRET, MEANT)
        ), path
