"""URLs of stores, and the secrets in them."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shlex
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from assay.models.errors import RequestError

_SQLITE_FILE = re.compile(
    r"sqlite(?:\+\w+)?:///(?P<database>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL | re.IGNORECASE
)
_MASK = "***"
# Options by name, not those of secrets: a driver may call a secret anything.
_HARMLESS_OPTIONS = frozenset(
    {
        *("host", "server", "port", "user", "username", "uid", "dbname", "database", "driver"),
        *("charset", "client_encoding", "application_name", "sslmode", "target_session_attrs"),
        *("timeout", "connect_timeout", "mode", "uri", "cache", "check_same_thread"),
        *("cipher", "kdf_iter", "pool_size"),
    }
)
_OPTION = re.compile(r"[^&;#]+")
_SECRET_NAME = re.compile(r"pass|pw|pin|secret|token|key|cred|auth|sig", re.IGNORECASE)
# Such a value of an option that is no secret by its name would be masked all over a message.
_ORDINARY_VALUE = re.compile(r"true|false|yes|no|on|off|none|[a-z]?\d{1,5}", re.IGNORECASE)
_SECRET_VARIABLES = (
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    *("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_MIN_SECRET_CHARACTERS = 3  # a shorter secret would match in the middle of ordinary words

_secrets: set[str] = set()


def mask_secrets(url: str) -> str:
    """Return a URL with its secrets replaced by asterisks.

    Secrets are the login of a server, the password of a database, the fragment, and the value of
    every option but a few that are known to be harmless.

    Example:
        >>> mask_secrets("postgresql://ann:s3cret@db/optuna?sslmode=require&sig=4f")
        'postgresql://ann:***@db/optuna?sslmode=require&sig=***'
    """
    for start, end, _ in reversed(_merge(_secret_spans(url))):
        url = f"{url[:start]}{_MASK}{url[end:]}"
    return url


def register_secrets(url: str) -> None:
    """Remember the secrets of a URL, and of environment variables, for `scrub_secrets`."""
    for start, end, name in _secret_spans(url):
        _register(url[start:end], name)
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if password:
        _register(f"{os.environ.get('MLFLOW_TRACKING_USERNAME', '')}:{password}", None)
    for name in _SECRET_VARIABLES:
        if os.environ.get(name):
            _register(os.environ[name], name)


def _register(secret: str, name: str | None) -> None:
    """Remember a secret in all forms in which libraries print it.

    Args:
        secret: as it was given.
        name: of the option that it is the value of; None for a login.
    """
    if name is not None:
        inner = urllib.parse.unquote_plus(secret)
        # A list of options itself, such as odbc_connect=DRIVER%3D...%3BPWD%3D...
        for key, value in re.findall(r"([^=;&\s]+)=([^;&]+)", inner):
            if not _is_harmless(key, value):
                _register(value, key)
        if not _SECRET_NAME.search(name) and _ORDINARY_VALUE.fullmatch(inner):
            return
    user, _, password = secret.partition(":")
    # A token may stand in the place of a user. HTTP sends a login encoded in base 64.
    encoded = base64.b64encode(urllib.parse.unquote(secret).encode()).decode()
    for part in (secret, encoded, *([password or user] if name is None else [])):
        # Libraries print a secret as it was given, unquoted, quoted again, or by `repr`; a shell's
        # command has it in quotes.
        forms = {part, urllib.parse.unquote(part), urllib.parse.unquote_plus(part)}
        quoted = {urllib.parse.quote(form, safe=safe) for form in forms for safe in ("", "/")}
        forms |= quoted
        forms |= {repr(form)[1:-1] for form in set(forms)}
        forms |= {shlex.quote(f"{form} ")[1:-2] for form in set(forms)}
        _secrets.update(form for form in forms if len(form) >= _MIN_SECRET_CHARACTERS)


def scrub_secrets(text: str) -> str:
    """Return a text with every registered secret replaced by asterisks.

    Every text of a library that may quote a URL goes through this before it is shown or stored.
    """
    # Secrets may overlap: replaced one after the other, an end of one would be left.
    spans = sorted(
        (start, start + len(secret)) for secret in _secrets for start in _find_all(secret, text)
    )
    shown: list[str] = []
    end = 0
    for begin, stop in spans:
        if begin >= end:
            shown += [text[end:begin], _MASK]
        end = max(end, stop)
    return "".join([*shown, text[end:]])


def _find_all(part: str, text: str) -> Iterator[int]:
    """Yield where a part begins in a text, overlapping ones too."""
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without secrets; its class if it has none.

    The other lines of a library's message are about its internals.
    """
    lines = scrub_secrets(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def is_file_database(url: str) -> bool:
    """Return whether a database is a file, which has one writer at a time: SQLite."""
    return url.lower().startswith("sqlite")


def is_damaged_database(url: str, error: BaseException) -> bool:
    """Return whether an error says that a file is no SQLite database, or a damaged one."""
    cause: BaseException | None = error
    while cause is not None:
        # Not a subclass, such as that of a lock or a constraint.
        if type(cause) is sqlite3.DatabaseError:
            return is_file_database(url)
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return False


def is_shared_database(url: str) -> bool:
    """Return whether several supervisors may work on a study of this database: PostgreSQL."""
    return url.lower().startswith("postgresql")


def is_server(tracking_uri: str) -> bool:
    """Return whether a tracking store is an MLflow server: HTTP, in upper case too."""
    return tracking_uri.lower().startswith("http")


def public_address(url: str) -> str:
    """Return the address of a server without login, options and fragment.

    It may be given to another process: every user of the machine can read its command line.

    Raises:
        RequestError: the login cannot be told from the host.

    Example:
        >>> public_address("https://ann:s3cret@mlflow.example.org/team/?token=4f")
        'https://mlflow.example.org/team'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        # Behind an unquoted slash of a password, the rest of it would be the path.
        beyond = parts._replace(scheme="", netloc="").geturl()
        is_clear = bool(parts.hostname) and (parts.port or 0) >= 0 and "@" not in beyond
    except ValueError:
        is_clear = False
    if not is_clear:
        raise RequestError(
            "the address of a tracking server must have its login before the host, with / ? # and "
            f"@ in it percent-encoded; received {mask_secrets(url)}: encode them."
        )
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


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


def is_database_at(url: str, file: Path) -> bool:
    """Return whether a URL is that of an SQLite database in this file, in whatever spelling.

    Example:
        >>> is_database_at("sqlite:////tmp/../tmp//mlruns/optuna.db", Path("/tmp/mlruns/optuna.db"))
        True
    """
    database = sqlite_file(url)
    if database is None:
        return False
    try:
        with contextlib.suppress(OSError):  # one of them does not exist yet
            return database.samefile(file)
        return os.path.realpath(database) == os.path.realpath(file)
    except ValueError:  # a NUL character
        return False


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
        # MLflow unquotes such an address too.
        return Path(urllib.request.url2pathname(address))
    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return Path(host + urllib.request.url2pathname(parts.path))


def absolute_store(url: str) -> str:
    """Return a store's URL that means the same in another current folder.

    Example:
        >>> absolute_store("sqlite:///mlflow.db")  # in /tmp
        'sqlite:////tmp/mlflow.db'
    """
    file = sqlite_file(url)
    return url if file is None or file.is_absolute() else sqlite_url(file.absolute())


def store_exists(url: str) -> bool:
    """Return whether a store exists; connecting to a SQLite file would create it."""
    file = sqlite_file(url)
    return file is None or file.exists()


def _secret_spans(url: str) -> list[tuple[int, int, str | None]]:
    """Return begin and end of each secret in a URL, and the name of its option; None for a login.

    Spans may overlap, where a URL can be read in several ways.
    """
    spans: list[tuple[int, int, str | None]] = []
    start, at = url.find("://") + 3 if "://" in url else 0, url.rfind("@")
    # A file database has a login only before a host, which is empty: sqlite+pysqlcipher://:key@/.
    is_path = is_file_database(url) and url[start : start + 1] in ("/", "")
    if at > start and not is_path:
        # A password may contain any character, even "@" and "/": the last "@" ends the login. The
        # login of an HTTP server may be a token and nothing else; that of a database has a user,
        # which is no secret.
        colon = start - 1 if is_server(url) else url.find(":", start, at)
        if colon >= 0 or start == 0:
            spans.append((colon + 1, at, None))
    login_end = at + 1 if spans else start
    # The path of a file may contain "#".
    fragment = url.find("#", login_end)
    if fragment >= 0 and not is_file_database(url):
        spans.append((fragment + 1, len(url), "fragment"))
    # An "@" may belong to an option too, and then what was taken for the login reaches into it.
    query = url.find("?", start)
    if query >= 0:
        for option in _OPTION.finditer(url, query + 1):
            name, equals, value = option[0].partition("=")
            name = name.rpartition("?")[2]  # the first "?" may be one of the password
            if equals and not _is_harmless(name, value):
                spans.append((option.end() - len(value), option.end(), name))
            elif not equals and option.start() >= login_end:  # a token may stand alone
                spans.append((*option.span(), "option"))
        if fragment < 0 and (hidden := url.find("#", query)) >= 0:
            spans.append((hidden + 1, len(url), "fragment"))
    return [span for span in spans if span[0] < span[1]]


def _is_harmless(name: str, value: str) -> bool:
    # A value with "=" holds options of its own.
    plain_name = urllib.parse.unquote_plus(name).strip().lower()
    return plain_name in _HARMLESS_OPTIONS and "=" not in urllib.parse.unquote_plus(value)


def _merge(spans: list[tuple[int, int, str | None]]) -> list[tuple[int, int, str | None]]:
    merged: list[tuple[int, int, str | None]] = []
    for start, end, name in sorted(spans, key=lambda span: span[:2]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), name)
        else:
            merged.append((start, end, name))
    return merged
