"""What a sweep tells while it runs, and to whom."""

from __future__ import annotations

from typing import Protocol

from experiments.progress.state import SweepState
from search.events import Event


class Display(Protocol):
    """Told of a sweep's progress."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""

    def opened(self, state: SweepState) -> None:
        """Say that the study is open and that workers are on their way."""

    def hear(self, event: Event) -> None:
        """Hear of what happened."""

    def closed(self) -> None:
        """Say no more of trials: the sweep is being put away."""
