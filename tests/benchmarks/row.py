"""Row of the results table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """Figure and its targets.

    Args:
        measure: label of the row.
        value: median of the runs.
        unit: "x" for a ratio, or "s", "ms", "MB", "%".
        goal: target; None if there is none.
        stretch: second target, harder to reach; None if there is none.
        better: whether more is better, or less.
        detail: data behind the figure: every run, in order.
        note: short remark for the table, printed beside the figure.
        flaw: reason why the figure does not count; the goal is then missed.
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
        """Return which of the targets the value reaches."""
        if self.flaw is not None:
            return f"missed: {self.flaw}"
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch"
        if self.goal is None:
            return ""
        return "goal" if self._reaches(self.goal) else "missed"

    def _reaches(self, wanted: float) -> bool:
        return self.value >= wanted if self.better == "more" else self.value <= wanted
