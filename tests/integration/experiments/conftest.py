"""An MLflow store whose tables are made."""

from tests.helpers.tracked import empty_store, store

__all__ = ["empty_store", "store"]
