"""A small prepared folder, and a user's own factories."""

from tests.helpers.prepared_data import folder, own_nets, rows

__all__ = ["folder", "own_nets", "rows"]
