"""Reaching an MLflow store."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.search.system.files import unwritable
from assay.search.system.urls import keep_secret, masked, scrubbed

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CAUSE_CHARACTERS = 200
_SQLITE = "sqlite:///"


def open_client(tracking_uri: str, made: Path | None = None) -> MlflowClient:
    """Return a client of a store that answers; a database gets its tables if it has none.

    Args:
        tracking_uri: the store.
        made: of `tables_aside`.

    Raises:
        RequestError: it does not answer; the message masks the password.
        SearchError: it can't be written.
    """
    keep_secret(tracking_uri)
    # Left alone, one call to a server that is down blocks for four minutes; whoever can wait does
    # so himself.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    # Not made again unseen either: a server that was only slow would make a run twice.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # MLflow would print two lines a run to standard output, which is for answers.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Here, because importing MLflow takes three seconds that the main thread has other uses for.
    import sqlalchemy.exc
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    _hush()
    try:
        _create(tracking_uri, made)
        client = MlflowClient(tracking_uri)
        client.search_experiments(max_results=1)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        if (failure := unwritable(f"the tracking store {masked(tracking_uri)}", error)) is not None:
            raise failure from None
        cause = scrubbed(str(error)).strip().splitlines()[0][:_CAUSE_CHARACTERS]
        raise RequestError(
            f"the tracking store {masked(tracking_uri)} can't be reached ({cause}): "
            "check --tracking-uri and that its server runs."
        ) from None
    return client


@contextlib.contextmanager
def tables_aside(tracking_uri: str) -> Iterator[Path | None]:
    """Import MLflow; have the tables of a SQLite store that is not there yet made in a folder that
    vanishes.

    All of it takes seconds, and none of it leaves anything: it can begin before anybody knows
    whether it is needed. Yields the file with the tables; None where none are needed.
    """
    import mlflow  # noqa: F401 - here, because importing it takes seconds

    _hush()
    if not tracking_uri.startswith(_SQLITE) or Path(tracking_uri.removeprefix(_SQLITE)).exists():
        yield None
        return
    # The process may end in the middle, when nobody needs a store any more: then the folder is
    # removed at its exit.
    with tempfile.TemporaryDirectory(prefix="assay-mlflow-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "made.db"
        _make_tables(made)
        yield made


def _create(tracking_uri: str, made: Path | None) -> None:
    """Put a SQLite store that is not there yet in its place, whole.

    MLflow takes seconds over its tables, can't go on with some that were made in part, and not by
    two processes at once.
    """
    path = Path(tracking_uri.removeprefix(_SQLITE))
    if not tracking_uri.startswith(_SQLITE) or path.exists():
        return
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
                if made is None:
                    made = Path(folder) / "made.db"
                    _make_tables(made)
                _copy(made, Path(folder) / "whole.db")
                (Path(folder) / "whole.db").replace(path)


def _hush() -> None:
    logging.getLogger("mlflow").setLevel(
        logging.WARNING
    )  # how its tables come to be is nobody's concern
    # What this one tells at length, with the values of whole tables, is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _make_tables(made: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(f"{_SQLITE}{made}").search_experiments(max_results=1)


def _copy(made: Path, whole: Path) -> None:
    # A copy that nobody has open: MLflow keeps connections to what it made.
    with (
        contextlib.closing(sqlite3.connect(made)) as source,
        contextlib.closing(sqlite3.connect(whole)) as copy,
    ):
        source.backup(copy)
