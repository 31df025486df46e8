"""One line of the table: what was measured, and what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """A figure with its goal.

    Args:
        measure: what it is, for people.
        value: the median.
        unit: "x" of a ratio, or "s", "ms", "MB", "%".
        goal: what it must reach; None if nothing was promised.
        stretch: what it should reach; None likewise.
        better: whether more is better, or less.
        detail: what the figure was made of: every run, in the order they were made.
        note: what a reader of the table should see beside the figure, in a few words.
        flaw: why the figure does not count, if it does not: whatever it is, its goal is missed.
    """

    measure: str
    value: float
    unit: str
    goal: float | None
    stretch: float | None
    better: Literal["more", "less"]
    detail: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    flaw: str | None = None

    @property
    def verdict(self) -> str:
        """Say whether the goal, or the stretch, was reached."""
        if self.flaw is not None:
            return f"missed: {self.flaw}"
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch"
        if self.goal is None:
            return ""
        return "goal" if self._reaches(self.goal) else "missed"

    def _reaches(self, wanted: float) -> bool:
        return self.value >= wanted if self.better == "more" else self.value <= wanted
