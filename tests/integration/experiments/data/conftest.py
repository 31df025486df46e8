"""Fixtures with small data sets and stub libraries."""

from tests.helpers.data_fixtures import arrays, own_set, quick_split, stub

__all__ = ["arrays", "own_set", "quick_split", "stub"]
