"""Opening Optuna's storage by its URL."""

from __future__ import annotations

import sqlite3
import urllib.parse
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy.engine import make_url

from assay.models.errors import DamagedFile, RequestError
from assay.search.optuna_compat import is_supported
from assay.search.storage.postgresql import SharedStorage, advisory_lock
from assay.search.storage.retrying import RetryingStorage, describe_error
from assay.search.system.files import check_database, unwritable_error
from assay.search.system.urls import (
    is_damaged_database,
    is_file_database,
    is_shared_database,
    mask_secrets,
    register_secrets,
    sqlite_file,
)

_RETRY_SECONDS = 600.0
_PSYCOPG_ARGUMENTS = {
    "connect_timeout": 3,  # seconds until a machine that does not answer counts as away
    "tcp_user_timeout": 20_000,  # milliseconds until an unanswered write ends the connection
    # A silent connection is probed after 10 seconds, three times, 5 seconds apart.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def open_storage(url: str, wait_for_server: bool = False) -> RetryingStorage:
    """Open a storage, and create its tables if it has none.

    Args:
        url: URL of the database.
        wait_for_server: whether calls wait for a server that goes away later. A server that is
            away now is never waited for. Without waiting, no connection is held between calls.

    Raises:
        RequestError: the database cannot be reached; the message masks the password.
        SearchError: the database cannot be written.

    Example:
        >>> storage = open_storage("sqlite:///mlruns/optuna.db")
        >>> optuna.get_all_study_names(storage)
        ['digits-mlp']
    """
    register_secrets(url)
    name = mask_secrets(url)
    try:
        database = _open_database(url, wait_for_server)
    except DamagedFile:
        raise
    except RuntimeError as error:  # the tables of another release
        raise DamagedFile(
            f"the storage {name} must have the tables of this release of Optuna "
            f"({describe_error(error)}); restore it from a backup, or remove it."
        ) from None
    except (
        sqlalchemy.exc.ArgumentError,
        sqlalchemy.exc.NoSuchModuleError,
        LookupError,  # Optuna formats the URL, in which braces are fields
        ValueError,
    ):
        raise RequestError(
            f"a storage is a database URL such as sqlite:///optuna.db; received {name!r}."
        ) from None
    except ImportError as error:
        cause = str(error).rstrip(".")
        raise RequestError(
            f"the storage {name} needs a driver that is not installed ({cause}): "
            "for PostgreSQL pip install 'psycopg[binary]', and write postgresql+psycopg://..."
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        if (failure := unwritable_error(f"the storage {name}", error)) is not None:
            raise failure from None
        if is_damaged_database(url, error):
            raise DamagedFile(
                f"the storage {name} must be an SQLite database: it can't be read "
                f"({describe_error(error)}); restore it from a backup, or remove it."
            ) from None
        raise RequestError(
            f"the storage {name} can't be reached ({describe_error(error)}): "
            "check the address and that its server runs."
        ) from None
    retry_seconds = _RETRY_SECONDS if wait_for_server and not is_file_database(url) else 0.0
    if is_shared_database(url):
        return SharedStorage(database, name, retry_seconds)
    return RetryingStorage(database, name, retry_seconds)


def _open_database(url: str, wait_for_server: bool) -> optuna.storages.RDBStorage:
    if (file := sqlite_file(url)) is not None:
        check_database(file)
        _check_has_all_tables(file)
    if not is_shared_database(url):
        return optuna.storages.RDBStorage(url)
    parsed = make_url(url)
    arguments: dict[str, Any] = {}
    if parsed.get_driver_name().startswith("psycopg"):  # other drivers have other names for these
        arguments = {
            name: value for name, value in _PSYCOPG_ARGUMENTS.items() if name not in parsed.query
        }
    options: dict[str, Any] = {"connect_args": arguments}
    if not wait_for_server:
        options["poolclass"] = sqlalchemy.NullPool
    # Under a lock: two processes that find no tables, and both create them, would both fail.
    with ExitStack() as stack:
        engine = sqlalchemy.create_engine(parsed, **options)
        stack.callback(engine.dispose)
        stack.enter_context(advisory_lock(engine, "tables"))
        return optuna.storages.RDBStorage(url, engine_kwargs=options)


def _check_has_all_tables(database: Path) -> None:
    """Check that a database with studies has every table of Optuna.

    Optuna would create what is missing, empty. A process that was killed while it created tables
    has created no study.

    Raises:
        DamagedFile: one is missing.
    """
    if not is_supported():
        return
    from optuna.storages._rdb.models import BaseModel  # another release may not have it

    address = f"file:{urllib.parse.quote(str(database))}?mode=ro"
    # What can't be read, and a database without studies, Optuna refuses or completes.
    with suppress(sqlite3.Error):
        with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as opened:
            has_studies = opened.execute("SELECT 1 FROM studies LIMIT 1").fetchone() is not None
            present = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
        missing = sorted(BaseModel.metadata.tables.keys() - present)
        if has_studies and missing:
            raise DamagedFile(
                f"{database} must have the tables of Optuna: {missing[0]!r} is missing; restore it "
                "from a backup, or remove it."
            )
