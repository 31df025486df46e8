"""Fixtures for tests of whole commands."""

from tests.helpers.refusals import fails

__all__ = ["fails"]
