"""A small prepared folder, and a user's own factories."""

from tests.helpers.prepared import folder, own_nets, rows

__all__ = ["folder", "own_nets", "rows"]
