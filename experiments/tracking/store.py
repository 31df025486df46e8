"""Opening an MLflow store."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assay.models.errors import DamagedFile, RequestError
from assay.models.files import temporary_folder
from assay.search.system.files import FileLock, check_database, unwritable_error
from assay.search.system.urls import (
    first_line,
    is_damaged_database,
    is_server,
    local_path,
    mask_secrets,
    register_secrets,
    sqlite_file,
    sqlite_url,
    store_exists,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MAX_CAUSE_CHARACTERS = 200
_CONNECT_LIMIT = {"connect_timeout": 3}  # seconds
_DEFAULT_EXPERIMENT = "0"  # the id that MLflow gives it
_ARTIFACTS = "artifacts"  # beside the database; in home, those of all experiments are there

MLFLOW_VARIABLES: Mapping[str, str] = {
    # By default, one call to a server that is down blocks for four minutes. The follower waits by
    # itself, and can be told to stop.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Nor may MLflow repeat a call by itself: a server that was only slow would create a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # MLflow would print two lines per run to standard output, which is for answers.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Nor a bar for each artifact that is read.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Environment variables of MLflow, which reads them at every call."""

_MLFLOW_LEVELS: Mapping[str, int] = {
    "mlflow": logging.WARNING,  # it logs every migration of its tables
    # It logs errors that are raised as well, with all values of the failed statement.
    "mlflow.store.db.utils": logging.CRITICAL,
    # It warns of unknown error codes of a server, with their text, beside raising them.
    "mlflow.exceptions": logging.ERROR,
}

_lock = threading.Lock()
_alembic_lock = threading.Lock()
_users = 0
_variables_set: set[str] = set()
_levels_before: dict[str, int] = {}


@contextlib.contextmanager
def mlflow_settings() -> Iterator[None]:
    """Set MLflow's environment variables, and restore them and its log levels afterwards.

    Both belong to the process, which may be a user's notebook. Variables that the user has set stay
    as they are. A command enters once, a Python function for the time of its call. The tracking
    thread enters while it opens its store, because it may outlive a call that is refused. The last
    one that leaves restores.

    The thread may also outlive a call because its server does not answer. It makes no further
    request then (`CancellationToken`), so it does not need the settings.
    """
    global _users
    with _lock:
        _users += 1
        for name, value in MLFLOW_VARIABLES.items():
            if name not in os.environ:
                os.environ[name] = value
                _variables_set.add(name)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for name in _variables_set:
                    os.environ.pop(name, None)
                _variables_set.clear()
                for name, level in _levels_before.items():
                    logging.getLogger(name).setLevel(level)
                _levels_before.clear()


def open_client(tracking_uri: str, tables: Path | None = None) -> MlflowClient:
    """Return a client of a store; create a new database.

    Args:
        tracking_uri: URL of a database, or address of an MLflow server.
        tables: file of `prepared_tables`; None: create the tables here if there are none.

    Raises:
        RequestError: the store does not answer; the message masks the password.
        SearchError: the store can't be written.
    """
    register_secrets(tracking_uri)
    # Here, because importing MLflow takes three seconds, in which the main thread does other work.
    import sqlalchemy.exc
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    store = f"the tracking store {mask_secrets(tracking_uri)}"
    try:
        with _silent_mlflow():
            if is_server(tracking_uri):
                from assay.experiments.tracking.answers import limit_answers  # for the same reason

                limit_answers()
            elif sqlite_file(tracking_uri) is None:
                _check_server_answers(tracking_uri)
            _create_database(tracking_uri, tables)
            if (file := sqlite_file(tracking_uri)) is not None:
                check_database(file)
            # Models are registered where their runs are, whatever MLFLOW_REGISTRY_URI says.
            client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
            client.search_experiments(max_results=1)
    except RequestError:
        raise  # a ValueError too
    except ImportError as error:
        raise RequestError(
            f"{store} needs a driver that is not installed ({first_line(error)}): install it, or "
            "write the URL of another one, such as postgresql+psycopg://..."
        ) from None
    except (
        *(MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError),
        ValueError,  # such as of a port that is no number
    ) as error:
        if (failure := unwritable_error(store, error)) is not None:
            raise failure from None
        cause = first_line(getattr(error, "orig", None) or error)[:_MAX_CAUSE_CHARACTERS]
        if is_damaged_database(tracking_uri, error):
            raise DamagedFile(
                f"{store} must be an SQLite database: it can't be read ({cause}); restore it from "
                "a backup, or remove it."
            ) from None
        raise RequestError(
            f"{store} can't be reached ({cause}): check --tracking-uri and that its server runs."
        ) from None
    return client


def _check_server_answers(tracking_uri: str) -> None:
    """Connect to a database server once: MLflow would try ten times, for two minutes.

    Other addresses are left to MLflow.

    Raises:
        SQLAlchemyError: it does not answer, or refuses the connection.
        ImportError: its driver is not installed.
    """
    # Here for the same reason as in `open_client`.
    import sqlalchemy
    from sqlalchemy.engine import make_url

    scheme = tracking_uri.lower().partition(":")[0]
    if not scheme.startswith(("postgresql", "mysql", "mssql")):
        return
    url = make_url(tracking_uri)
    # The drivers of PostgreSQL and MySQL have one name for it.
    limit = {} if scheme.startswith("mssql") or "connect_timeout" in url.query else _CONNECT_LIMIT
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args={**limit})
    with contextlib.closing(engine.connect()):
        pass


def check_artifacts_are_remote(client: MlflowClient, tracking_uri: str) -> None:
    """Check that a server does not name a folder as the address of its artifacts.

    The address of the experiment "Default" is looked at: it follows from the server's options.

    Raises:
        RequestError: it does.
    """
    from mlflow.exceptions import MlflowException

    if not is_server(tracking_uri):
        return
    with contextlib.suppress(MlflowException):  # the experiment was deleted for good
        address = str(client.get_experiment(_DEFAULT_EXPERIMENT).artifact_location)
        if local_path(address) is not None:
            raise RequestError(
                f"the tracking store {mask_secrets(tracking_uri)} must receive artifacts itself, "
                f"or name a storage for them; received the folder {address}: start it with "
                "'mlflow server --artifacts-destination ...'."
            )


def user_variables(folder: Path) -> dict[str, str]:
    """Return the environment variables by which user code in a worker logs to a store of its own.

    Such code may call `mlflow.autolog()`. Without the variables MLflow would write a database and
    artifacts to the current folder, or runs that are no trials to the suite's store.

    Args:
        folder: of that store, in home; see `create_user_store`.
    """
    return {
        "MLFLOW_TRACKING_URI": _user_store(folder),
        # MLflow's own processes find their artifact folder by it (3.17): there is no public name.
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (folder / _ARTIFACTS).absolute().as_uri(),
        # Ids of another store; 0 is the experiment "Default".
        **({"MLFLOW_RUN_ID": ""} if "MLFLOW_RUN_ID" in os.environ else {}),
        **({"MLFLOW_EXPERIMENT_ID": "0"} if "MLFLOW_EXPERIMENT_ID" in os.environ else {}),
    }


def create_user_store(folder: Path, tables: Path | None) -> None:
    """Create the store for what user code logs, unless it exists.

    Workers must find it: two that create the tables at the same time would both fail.

    Args:
        folder: of the store.
        tables: file of `prepared_tables`, or None.

    Raises:
        RequestError: there can be no database in that folder.
        SearchError: it can't be written.
    """
    import sqlalchemy.exc  # here, because importing it takes time that the main thread needs

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _silent_mlflow():
            _create_database(_user_store(folder), tables)
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        if (failure := unwritable_error(folder, error)) is not None:
            raise failure from None
        cause = first_line(error)[:_MAX_CAUSE_CHARACTERS]
        raise RequestError(
            "home must be able to hold a database for what the model's code logs to MLflow; "
            f"received {folder} ({cause}): choose another with --home."
        ) from None


def _user_store(folder: Path) -> str:
    return sqlite_url(folder / "mlflow.db")


@contextlib.contextmanager
def prepared_tables(tracking_uri: str, user_folder: Path | None = None) -> Iterator[Path | None]:
    """Create a new SQLite store's tables ahead of time.

    They are created in a temporary folder, which is removed at the end.

    It takes seconds, and can begin before a sweep has passed its checks; `open_client` and
    `create_user_store` only copy the file.

    Args:
        tracking_uri: the store.
        user_folder: of the store for user code; None if none is needed.

    Yields:
        The file with the tables; None if all stores exist already or are no SQLite databases.
    """
    uris = [tracking_uri, *([] if user_folder is None else [_user_store(user_folder)])]
    if all(store_exists(uri) for uri in uris):
        yield None
        return
    # A daemon thread enters here, and the process may end while MLflow still writes the file:
    # the folder is removed at exit, whatever is in it by then.
    with temporary_folder("mlflow") as folder:
        tables = folder / "tables.db"
        with _silent_mlflow():
            _create_tables(tables)
        yield tables


def _create_database(tracking_uri: str, tables: Path | None) -> None:
    """Create a SQLite store, if it does not exist."""
    path = sqlite_file(tracking_uri)
    if path is None or path.exists():
        return
    # MLflow can neither complete tables that were created in part nor create them in two processes
    # at once. So one process at a time creates them aside, and moves the whole file into place.
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
                if tables is None:
                    tables = Path(folder) / "tables.db"
                    _create_tables(tables)
                _copy_database(tables, Path(folder) / "copy.db", path.parent / _ARTIFACTS)
                (Path(folder) / "copy.db").replace(path)


@contextlib.contextmanager
def _silent_mlflow() -> Iterator[None]:
    """Enter `mlflow_settings`, and set MLflow's log levels until the last one leaves them.

    Enter it after MLflow is imported, because the import sets them too.
    """
    with mlflow_settings():
        with _lock:
            for name, level in _MLFLOW_LEVELS.items():
                logger = logging.getLogger(name)
                _levels_before.setdefault(name, logger.level)
                logger.setLevel(level)
        yield


def _create_tables(file: Path) -> None:
    # Not MlflowClient, which gives the experiment "Default" an artifact folder in the current
    # folder, and fails if that has both kinds of quotes in its name.
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # Where there can be no database, SQLite says so at once; MLflow would try for two minutes.
    with contextlib.closing(sqlite3.connect(file)):
        pass
    # Alembic, which creates them, keeps its context in globals of a module. The thread of a request
    # that was refused may still be at work when the next request begins.
    with _alembic_lock:
        SqlAlchemyStore(sqlite_url(file), file.parent.as_uri())


def _copy_database(source_file: Path, target_file: Path, artifacts: Path) -> None:
    """Copy tables; the experiment "Default" gets an artifact folder."""
    # Not a move: MLflow keeps connections open to the file in which it created the tables.
    with (
        contextlib.closing(sqlite3.connect(source_file)) as source,
        contextlib.closing(sqlite3.connect(target_file)) as target,
    ):
        source.backup(target)
        location = (artifacts.absolute() / "0").as_uri()
        target.execute("UPDATE experiments SET artifact_location = ?", (location,))
        target.commit()
