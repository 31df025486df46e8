"""Time that passes only when a test says so."""

from __future__ import annotations


class Clock:
    """Stands in for the module `time` where a test decides what time it is."""

    def __init__(self) -> None:
        self._now = 1000.0

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._now += seconds
