"""Progress for who calls from Python: one bar, in a notebook or on standard error, and warnings as
Python's own.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from assay.experiments.run.progress import SweepState
from assay.experiments.terminal_text import in_line
from assay.search.events import EpochEnded, Event

if TYPE_CHECKING:
    from tqdm import tqdm

_WARNING = "warning: "


class SilentDisplay:
    """Shows nothing. What a user should be warned of is a warning of Python, whose filters
    decide.
    """

    def log(self, text: str) -> None:
        """Warn, if the text is a warning."""
        if text.startswith(_WARNING):
            warnings.warn(text.removeprefix(_WARNING), UserWarning, stacklevel=2)

    def on_open(self, state: SweepState) -> None:
        """Show nothing."""

    def on_event(self, event: Event) -> None:
        """Show nothing."""

    def on_close(self) -> None:
        """Show nothing."""


class BarDisplay(SilentDisplay):
    """Draws how many trials of those wanted are done, or epochs of a single training, and the best
    so far behind it.
    """

    def __init__(self, unit: Literal["trial", "epoch"] = "trial") -> None:
        self._unit = unit
        self._state: SweepState | None = None
        self._bar: tqdm[Any] | None = None

    def on_open(self, state: SweepState) -> None:
        """Begin to draw."""
        self._state = state
        total = state.wanted if self._unit == "trial" else state.experiment.largest("epochs")
        name = state.study if self._unit == "trial" else state.experiment.name
        # What was done before is the beginning, so that the pace is told from what is done now.
        self._bar = import_tqdm()(
            total=total, initial=state.done, desc=in_line(name), unit=self._unit
        )
        self._bar.set_postfix_str(state.best())

    def on_event(self, event: Event) -> None:
        """Take the event in, and draw what it changed."""
        if self._state is None or self._bar is None:
            return
        ended = self._state.apply(event)
        if self._unit == "epoch":
            if isinstance(event, EpochEnded):
                metric = self._state.curve_metric
                self._bar.set_postfix_str(f"{metric} {event.metrics[metric]:.4f}", refresh=False)
                self._bar.update()
        elif ended is not None:
            failed = f"{self._state.failed} failed" if self._state.failed else ""
            self._bar.set_postfix_str(
                ", ".join(filter(None, (self._state.best(), failed))), refresh=False
            )
            self._bar.update(self._state.done - self._bar.n)

    def on_close(self) -> None:
        """Leave the bar as it is and draw no more."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def import_tqdm() -> Any:
    """Return tqdm's bar, of widgets in a notebook that has them and of text elsewhere.

    Where a notebook has no widgets the import warns, once. Optuna and MLflow import it as well:
    whoever wants to hear none of it must ask first.
    """
    from tqdm import TqdmWarning  # here, because no command needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
