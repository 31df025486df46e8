"""Addresses of stores."""

from __future__ import annotations

from pathlib import Path

_SQLITE = "sqlite:///"


def masked(url: str) -> str:
    """Return a URL with its password, if it has one, replaced by asterisks."""
    head, at, host = url.rpartition("@")
    scheme, slashes, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{slashes}{user}:***{at}{host}" if at and slashes and colon else url


def database_is_a_file(url: str) -> bool:
    """Return whether a database is SQLite's: a file of this machine, with one writer at a time."""
    return url.startswith("sqlite")


def database_is_shared(url: str) -> bool:
    """Return whether several supervisors may be at work in a database: in PostgreSQL they don't take the same trial."""
    return url.startswith("postgresql")


def is_there(url: str) -> bool:
    """Return whether a store can hold anything: asking a SQLite file that is not there would make it."""
    return not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).exists()
