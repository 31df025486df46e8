"""Addresses of stores, and the secrets in them."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

_SQLITE = "sqlite:///"
_STARS = "***"
_SECRET_OPTION = re.compile(
    r"[?&;\s][^=&;\s]*(?:pass|pwd|secret|token|key|cred|auth)[^=&;\s]*=([^&;#\s]+)", re.IGNORECASE
)
_SHORTEST_SECRET_CHARACTERS = 3  # a shorter one can't be told from the letters around it

_secrets: set[str] = set()


def masked(url: str) -> str:
    """Return a URL with asterisks for the password it has, or the token, before its host or among
    its options.
    """
    for start, end in sorted(_secret_parts(url), reverse=True):
        url = f"{url[:start]}{_STARS}{url[end:]}"
    return url


def keep_secret(url: str) -> None:
    """Have `scrubbed` know the secrets of a URL from now on, in all the forms that libraries give
    them.
    """
    for start, end in _secret_parts(url):
        login = url[start:end]
        user, _, password = login.partition(":")
        # A token may stand where a user does; and this is how a login goes over the wire.
        for secret in (
            login,
            password or user,
            base64.b64encode(urllib.parse.unquote(login).encode()).decode(),
        ):
            both = {secret, urllib.parse.unquote(secret), urllib.parse.unquote_plus(secret)}
            both |= {urllib.parse.quote(one, safe=safe) for one in set(both) for safe in ("", "/")}
            both |= {repr(one)[1:-1] for one in set(both)}
            _secrets.update(one for one in both if len(one) >= _SHORTEST_SECRET_CHARACTERS)


def scrubbed(text: str) -> str:
    """Return what a library says, without the secrets of any URL that this process was given."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _STARS)
    return text


def database_is_a_file(url: str) -> bool:
    """Return whether a database is SQLite's: a file of this machine, with one writer at a time."""
    return url.startswith("sqlite")


def database_is_shared(url: str) -> bool:
    """Return whether several supervisors may be at work in a database: in PostgreSQL they don't
    take the same trial.
    """
    return url.startswith("postgresql")


def is_there(url: str) -> bool:
    """Return whether a store can hold anything: asking a SQLite file that is not there would make
    it.
    """
    return not url.startswith(_SQLITE) or _file_of(url).exists()


def _file_of(url: str) -> Path:
    """Return the file of a SQLite address, which may have options, and be an address of its own
    (file:...).
    """
    return Path(url.removeprefix(_SQLITE).partition("?")[0].removeprefix("file:"))


def _secret_parts(url: str) -> Iterator[tuple[int, int]]:
    """Yield where in a URL its secrets begin and end.

    Whatever stands before the last @ may belong to the password, which can have any character in
    it.
    """
    start, at = url.find("://") + 3 if "://" in url else 0, url.rfind("@")
    if at > start and not database_is_a_file(url):
        # Before the host of a server there is often a token and nothing else; of a database, a user
        # at least.
        colon = start - 1 if url.startswith("http") else url.find(":", start, at)
        if colon >= 0 or start == 0:
            yield colon + 1, at
    for option in _SECRET_OPTION.finditer(url, max(at, 0)):
        yield option.span(1)
