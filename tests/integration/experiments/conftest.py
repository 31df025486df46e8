"""GPUs that only seem to be there, and an MLflow store whose tables are made."""

from tests.helpers.gpus import two_gpus
from tests.helpers.tracked import empty_store, store

__all__ = ["empty_store", "store", "two_gpus"]
