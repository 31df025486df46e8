"""Fixtures with a small prepared folder and user-defined factories."""

from tests.helpers.prepared_data import folder, own_nets, rows

__all__ = ["folder", "own_nets", "rows"]
