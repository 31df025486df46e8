"""A display that keeps the epochs it hears of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.progress.display import Display
from experiments.progress.state import SweepState
from search.events import EpochEnded, Event

if TYPE_CHECKING:
    import pandas as pd


class Recording:
    """Passes everything on to another display."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._heard: list[EpochEnded] = []

    def note(self, text: str) -> None:
        """Pass the text on."""
        self._display.note(text)

    def opened(self, state: SweepState) -> None:
        """Pass the state on."""
        self._display.opened(state)

    def hear(self, event: Event) -> None:
        """Pass the event on, and keep it if it is the end of an epoch."""
        if isinstance(event, EpochEnded):
            self._heard.append(event)
        self._display.hear(event)

    def closed(self) -> None:
        """Pass it on."""
        self._display.closed()

    def epochs(self) -> pd.DataFrame:
        """Return one row an epoch, as they came: columns epoch, the metrics of every epoch, seconds (of wall time)."""
        import pandas as pd  # here, because no command needs it before it answers

        rows = [{"epoch": event.epoch, **event.metrics, "seconds": event.seconds} for event in self._heard]
        return pd.DataFrame(rows, columns=None if rows else ["epoch", "seconds"])
