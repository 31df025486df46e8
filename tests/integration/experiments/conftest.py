"""Fixtures for tests of whole commands."""

from tests.helpers.gpus import two_gpus
from tests.helpers.refusals import fails
from tests.helpers.tracking import store

__all__ = ["fails", "store", "two_gpus"]
