"""Optuna's storage: opened once, by one process."""

from __future__ import annotations

import optuna
import sqlalchemy.exc

from models.errors import RequestError
from search.urls import masked


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open a storage by its URL, creating its tables if there are none.

    Raises:
        RequestError: it can't be reached; the message masks the password.
    """
    try:
        return optuna.storages.RDBStorage(url)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        raise RequestError(
            f"a storage is a database URL such as sqlite:///optuna.db; received {masked(url)!r}."
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RequestError(
            f"the storage {masked(url)} can't be reached ({cause}): check the address and that its server runs."
        ) from None
