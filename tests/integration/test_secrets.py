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


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("https://{}@127.0.0.1:9/", "https://127.0.0.1:9"),
        ("HTTP://assay:{}@127.0.0.1:9/team/", "http://127.0.0.1:9/team"),
        ("http://127.0.0.1:9/?token={}", "http://127.0.0.1:9"),
        ("http://127.0.0.1:9/#{}", "http://127.0.0.1:9"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_the_browser_gets_the_address_of_a_server_without_secrets(
    url: str, opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[str] = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", MEANT)
    done = invoke("ui", "--tracking-uri", url.format(SECRET), "--home", str(tmp_path / "home"))
    assert (done.code, done.out, addresses) == (0, f"{opened}\n", [opened]), done.err


def test_an_address_that_hides_its_host_is_refused(tmp_path: Path) -> None:
    url = f"http://assay:{MEANT}@127.0.0.1:9"
    done = invoke("ui", "--tracking-uri", url, "--home", str(tmp_path / "home"))
    assert done.code == 2
    assert not leaked(done.out + done.err)
    assert "percent-encoded; received http://***@127.0.0.1:9" in done.err


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"])
def test_secrets_in_variables_are_not_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, MEANT)
    see_nothing(tmp_path, "list", "studies", "--tracking-uri", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "assay.experiments.results.listing.summarize_studies", lambda stores: fail(MEANT)
    )
    done = invoke("list", "studies", "--home", str(tmp_path / "home"))
    assert "Traceback" in done.err
    assert not leaked(done.out + done.err)


def fail(message: str) -> None:
    """Raise an error that is a bug."""
    raise ZeroDivisionError(message)


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
