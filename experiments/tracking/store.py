"""Reaching an MLflow store."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from models.errors import RequestError
from search.urls import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CAUSE_CHARACTERS = 200


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
        client = MlflowClient(tracking_uri)
        client.search_experiments(max_results=1)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = str(error).replace(tracking_uri, masked(tracking_uri)).strip().splitlines()[0][:_CAUSE_CHARACTERS]
        raise RequestError(
            f"the tracking store {masked(tracking_uri)} can't be reached ({cause}): "
            "check --tracking-uri and that its server runs."
        ) from None
    return client
