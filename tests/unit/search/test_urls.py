"""Masking of secrets in URLs."""

from __future__ import annotations

import pytest

from assay.search.system.urls import first_line, mask_secrets, register_secrets, scrub_secrets

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
        # All other letters of an option's value are percent-encoded.
        for secret in ([SECRET, MEANT, "pa:ss", "a?b@c"] if "{}@" in url else [SECRET])
    ],
)
def test_a_password_is_masked_anywhere_in_the_url(url: str, shown: str, secret: str) -> None:
    assert mask_secrets(url.format(secret)).endswith(shown)


@pytest.mark.parametrize(
    "url", ["postgresql://assay@host/db", "http://127.0.0.1:5000", "sqlite:////a@b:c/d@e.db"]
)
def test_a_url_without_a_secret_is_unchanged(url: str) -> None:
    assert mask_secrets(url) == url


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
