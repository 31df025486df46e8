"""Data sets small enough to make, and libraries that do as they are told."""

from tests.helpers.data_fixtures import arrays, own_set, quick_split, stub

__all__ = ["arrays", "own_set", "quick_split", "stub"]
