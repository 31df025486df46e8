"""URLs of stores, and the secrets in them."""

from __future__ import annotations

import base64
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_SQLITE_FILE = re.compile(r"sqlite(?:\+\w+)?:///(?P<database>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
_MASK = "***"
_SECRET_OPTION = re.compile(
    r"[?&;\s][^=&;\s]*(?:pass|pwd|secret|token|key|cred|auth)[^=&;\s]*=([^&;#\s]+)", re.IGNORECASE
)
_MIN_SECRET_CHARACTERS = 3  # a shorter secret would match in the middle of ordinary words

_secrets: set[str] = set()


def mask_secrets(url: str) -> str:
    """Return a URL with its password or token replaced by asterisks.

    Example:
        >>> mask_secrets("postgresql://ann:s3cret@db/optuna")
        'postgresql://ann:***@db/optuna'
    """
    for start, end in sorted(_secret_spans(url), reverse=True):
        url = f"{url[:start]}{_MASK}{url[end:]}"
    return url


def register_secrets(url: str) -> None:
    """Remember the secrets of a URL for `scrub_secrets`."""
    for start, end in _secret_spans(url):
        login = url[start:end]
        user, _, password = login.partition(":")
        # A token may stand in the place of a user. HTTP sends a login encoded in base 64.
        encoded_login = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
        for secret in (login, password or user, encoded_login):
            # Libraries print a secret as it was given, unquoted, quoted again, or by `repr`.
            forms = {secret, urllib.parse.unquote(secret), urllib.parse.unquote_plus(secret)}
            quoted = {urllib.parse.quote(form, safe=safe) for form in forms for safe in ("", "/")}
            forms |= quoted
            forms |= {repr(form)[1:-1] for form in set(forms)}
            _secrets.update(form for form in forms if len(form) >= _MIN_SECRET_CHARACTERS)


def scrub_secrets(text: str) -> str:
    """Return a text with every registered secret replaced by asterisks.

    Every text of a library that may quote a URL goes through this before it is shown or stored.
    """
    # The longest first: a secret may contain another.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without secrets; its class if it has none.

    The other lines of a library's message are about its internals.
    """
    lines = scrub_secrets(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def is_file_database(url: str) -> bool:
    """Return whether a database is a file, which has one writer at a time: SQLite."""
    return url.startswith("sqlite")


def is_shared_database(url: str) -> bool:
    """Return whether several supervisors may work on a study of this database: PostgreSQL."""
    return url.startswith("postgresql")


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite database by its absolute path.

    Example:
        >>> sqlite_url(Path("/tmp/mlruns/optuna.db"))
        'sqlite:////tmp/mlruns/optuna.db'
        >>> sqlite_url(Path("/tmp/50%25/optuna.db"))
        'sqlite:///%2Ftmp%2F50%2525%2Foptuna.db'
    """
    path = os.fspath(file)
    # SQLAlchemy ends the path at a question mark and unquotes it; Optuna formats the URL, in which
    # braces are fields.
    if urllib.parse.unquote(path) != path or any(mark in path for mark in "?{}"):
        # The slashes too: MLflow creates the parent folder of a path that it does not unquote
        # (`mlflow.store.db.utils`, 3.17), and without slashes that is the current folder.
        path = urllib.parse.quote(path, safe="", errors="surrogateescape")
    return f"sqlite:///{path}"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database as SQLAlchemy finds it.

    Returns:
        None for another database, and for one in memory.

    Example:
        >>> sqlite_file("sqlite:///mlruns/optuna.db?timeout=20")
        PosixPath('mlruns/optuna.db')
    """
    parts = _SQLITE_FILE.fullmatch(url)
    if parts is None:
        return None
    path = urllib.parse.unquote(parts["database"])
    options = dict(urllib.parse.parse_qsl(parts["query"] or ""))
    # It may be a URI itself: sqlite:///file:/tmp/a.db?mode=ro&uri=true.
    if options.get("uri", "").lower() in ("true", "1", "yes", "on"):
        path = urllib.parse.unquote(path.removeprefix("file:").partition("?")[0])
        path = path.removeprefix("//localhost").removeprefix("//")
        if options.get("mode") == "memory":
            return None
    return None if path in ("", ":memory:") else Path(path)


def local_path(address: str) -> Path | None:
    """Return the path that an address leads to on this machine; None if it is elsewhere.

    Example:
        >>> local_path("file:///tmp/artifacts/0"), local_path("mlflow-artifacts:/0")
        (PosixPath('/tmp/artifacts/0'), None)
    """
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:  # such as of an address with a bracket
        return None
    if parts.scheme not in ("", "file"):
        return None
    if not parts.scheme:
        return Path(address)
    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return Path(host + urllib.request.url2pathname(parts.path))


def store_exists(url: str) -> bool:
    """Return whether a store exists; connecting to a SQLite file would create it."""
    file = sqlite_file(url)
    return file is None or file.exists()


def _secret_spans(url: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each secret in a URL."""
    # A password may contain any character, even "@" and "/": the last "@" ends the login.
    start, at = url.find("://") + 3 if "://" in url else 0, url.rfind("@")
    if at > start and not is_file_database(url):
        # The login of an HTTP server may be a token and nothing else; that of a database has a
        # user, which is no secret.
        colon = start - 1 if url.startswith("http") else url.find(":", start, at)
        if colon >= 0 or start == 0:
            yield colon + 1, at
    # Only the options of a file database may hold a secret, not its path.
    options = url.find("?") if is_file_database(url) else max(at, 0)
    if options >= 0:
        for option in _SECRET_OPTION.finditer(url, options):
            yield option.span(1)
