"""A clock that tests control."""

from __future__ import annotations


class Clock:
    """Replaces the module `time` with a clock that tests control."""

    def __init__(self) -> None:
        self._now = 1000.0

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self._now += seconds
