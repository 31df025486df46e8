"""Reaching an MLflow store."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import RequestError
from search.urls import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CAUSE_CHARACTERS = 200
_SQLITE = "sqlite:///"


def open_client(tracking_uri: str) -> MlflowClient:
    """Return a client of a store that answers; a database gets its tables if it has none.

    Raises:
        RequestError: it does not answer; the message masks the password.
    """
    # Left alone, one call to a server that is down blocks for four minutes; whoever can wait does so himself.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    # Here, because importing MLflow takes three seconds that the main thread has other uses for.
    import sqlalchemy.exc
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # how its tables come to be is nobody's concern
    try:
        _create(tracking_uri)
        client = MlflowClient(tracking_uri)
        client.search_experiments(max_results=1)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = str(error).replace(tracking_uri, masked(tracking_uri)).strip().splitlines()[0][:_CAUSE_CHARACTERS]
        raise RequestError(
            f"the tracking store {masked(tracking_uri)} can't be reached ({cause}): "
            "check --tracking-uri and that its server runs."
        ) from None
    return client


def _create(tracking_uri: str) -> None:
    """Make the tables of a SQLite store that is not there yet, aside, and put it in its place when it is whole.

    MLflow takes seconds over it, can't go on with tables that were made in part, and not by two processes at once.
    """
    path = Path(tracking_uri.removeprefix(_SQLITE))
    if not tracking_uri.startswith(_SQLITE) or path.exists():
        return
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
                _make_tables(Path(folder) / "made.db", Path(folder) / "whole.db")
                (Path(folder) / "whole.db").replace(path)


def _make_tables(made: Path, whole: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(f"{_SQLITE}{made}").search_experiments(max_results=1)
    # A copy that nobody has open: MLflow keeps connections to what it made.
    with contextlib.closing(sqlite3.connect(made)) as source, contextlib.closing(sqlite3.connect(whole)) as copy:
        source.backup(copy)
