"""Fixtures with small data sets."""

from tests.helpers.data_fixtures import arrays, own_set

__all__ = ["arrays", "own_set"]
