"""Optuna's storage: opened once, by one process."""

from __future__ import annotations

import optuna
import sqlalchemy.exc

from models.errors import RequestError
from search.patient_storage import PatientStorage
from search.unwritable import unwritable
from search.urls import database_is_a_file, keep_secret, masked, scrubbed

_PATIENCE_SECONDS = 600.0


def open_storage(url: str) -> PatientStorage:
    """Open a storage by its URL, creating its tables if there are none.

    Raises:
        RequestError: it can't be reached; the message masks the password.
        SearchError: it can't be written.
    """
    keep_secret(url)
    try:
        database: optuna.storages.BaseStorage = optuna.storages.RDBStorage(url)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        raise RequestError(
            f"a storage is a database URL such as sqlite:///optuna.db; received {masked(url)!r}."
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError) as error:
        if (failure := unwritable(f"the storage {masked(url)}", error)) is not None:
            raise failure from None
        cause = scrubbed(str(getattr(error, "orig", None) or error)).strip().splitlines()[0]
        raise RequestError(
            f"the storage {masked(url)} can't be reached ({cause}): check the address and that its server runs."
        ) from None
    if database_is_a_file(url):
        return PatientStorage(database, masked(url), patience_seconds=0)
    # With Optuna's own memory of finished trials, which need not be fetched again.
    return PatientStorage(optuna.storages.get_storage(database), masked(url), _PATIENCE_SECONDS)
