"""Optuna's storage: opened once, by one process; on PostgreSQL by any number, each once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy.engine import make_url

from assay.models.errors import RequestError
from assay.search.storage.postgresql import SharedStorage, advisory_lock
from assay.search.storage.retrying import RetryingStorage
from assay.search.system.files import unwritable
from assay.search.system.urls import (
    database_is_a_file,
    database_is_shared,
    keep_secret,
    masked,
    scrubbed,
)

_PATIENCE_SECONDS = 600.0
_CONNECTION = {
    "connect_timeout": 3,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Of PostgreSQL's client: seconds until a machine that does not answer is away, milliseconds until
a connection is that
was written to, seconds until a silent one is asked for a sign of life, seconds between two such
questions, how many.
"""


def open_storage(url: str, wait_for_server: bool = False) -> RetryingStorage:
    """Open a storage by its URL, creating its tables if there are none.

    Args:
        url: of the database.
        wait_for_server: whether to wait for a server that goes away later on. One that is away now
            is never waited for. Without waiting, no connection is held between two calls.

    Raises:
        RequestError: it can't be reached; the message masks the password.
        SearchError: it can't be written.
    """
    keep_secret(url)
    try:
        database = _open(url, wait_for_server)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        raise RequestError(
            f"a storage is a database URL such as sqlite:///optuna.db; received {masked(url)!r}."
        ) from None
    except ImportError as error:
        raise RequestError(
            f"the storage {masked(url)} needs a driver that is not installed ({str(error).rstrip('.')}): that of "
            "PostgreSQL is pip install 'psycopg[binary]', for postgresql+psycopg://..."
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        if (failure := unwritable(f"the storage {masked(url)}", error)) is not None:
            raise failure from None
        cause = scrubbed(str(getattr(error, "orig", None) or error)).strip().splitlines()[0]
        raise RequestError(
            f"the storage {masked(url)} can't be reached ({cause}): check the address and that its server runs."
        ) from None
    retry_seconds = _PATIENCE_SECONDS if wait_for_server and not database_is_a_file(url) else 0.0
    if database_is_shared(url):
        return SharedStorage(database, masked(url), retry_seconds)
    return RetryingStorage(database, masked(url), retry_seconds)


def _open(url: str, wait_for_server: bool) -> optuna.storages.RDBStorage:
    if not database_is_shared(url):
        return optuna.storages.RDBStorage(url)
    parsed = make_url(url)
    known: dict[str, Any] = {}
    if parsed.get_driver_name().startswith("psycopg"):  # others call these otherwise
        known = {name: value for name, value in _CONNECTION.items() if name not in parsed.query}
    options: dict[str, Any] = {"connect_args": known}
    if not wait_for_server:
        options["poolclass"] = sqlalchemy.NullPool
    # Two that find no tables and both make them would stop each other.
    with ExitStack() as stack:
        engine = sqlalchemy.create_engine(parsed, **options)
        stack.callback(engine.dispose)
        stack.enter_context(advisory_lock(engine, "tables"))
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
