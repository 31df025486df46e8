"""Progress bar for Python callers."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal

from assay.experiments.console import import_tqdm
from assay.experiments.run.progress import SweepState, format_epoch
from assay.experiments.terminal_text import escape_line
from assay.search.events import EpochEnded, Event

if TYPE_CHECKING:
    from tqdm import tqdm

_WARNING_PREFIX = "warning: "


class SilentDisplay:
    """A display that shows nothing and turns warnings into Python's.

    So a caller's warning filters decide what is shown.
    """

    def log(self, text: str) -> None:
        """Issue a `UserWarning` if the text is a warning."""
        if text.startswith(_WARNING_PREFIX):
            warnings.warn(text.removeprefix(_WARNING_PREFIX), UserWarning, stacklevel=2)

    def on_open(self, state: SweepState) -> None:
        """Show nothing."""

    def on_event(self, event: Event) -> None:
        """Show nothing."""

    def on_close(self) -> None:
        """Show nothing."""


class BarDisplay(SilentDisplay):
    """A progress bar of trials or epochs.

    Args:
        unit: what the bar counts: trials that are done, with the best so far, or epochs, with the
            metric of the last one.
    """

    def __init__(self, unit: Literal["trial", "epoch"] = "trial") -> None:
        self._unit = unit
        self._state: SweepState | None = None
        self._bar: tqdm[Any] | None = None

    def on_open(self, state: SweepState) -> None:
        """Draw the bar."""
        self._state = state
        if sys.stderr is None:  # a program without a console: tqdm would fail
            return
        total = state.wanted if self._unit == "trial" else state.experiment.largest_value("epochs")
        name = state.study if self._unit == "trial" else state.experiment.name
        # Trials of earlier sweeps are tqdm's `initial`: they must not count in its rate.
        self._bar = import_tqdm()(
            total=total,
            initial=state.done,
            desc=escape_line(name),
            unit=state.noun if self._unit == "trial" else self._unit,
        )
        self._bar.set_postfix_str(state.best())

    def on_event(self, event: Event) -> None:
        """Update the bar."""
        if self._state is None or self._bar is None:
            return
        ended = self._state.apply(event)
        if self._unit == "epoch":
            if isinstance(event, EpochEnded):
                metric = self._state.curve_metric
                if metric in event.metrics:  # a custom model may measure others
                    value = f"{metric} {event.metrics[metric]:.4f}"
                    self._bar.set_postfix_str(value, refresh=False)
                self._bar.update()
            elif ended is not None and ended.restored_epoch is not None:
                metric, epoch = self._state.curve_metric, format_epoch(ended.restored_epoch)
                self._bar.set_postfix_str(f"{metric} {ended.value:.4f}{epoch}")
        elif ended is not None:
            texts = (self._state.best(), self._state.failures())
            self._bar.set_postfix_str(", ".join(filter(None, texts)), refresh=False)
            self._bar.update(self._state.done - self._bar.n)

    def on_close(self) -> None:
        """Stop drawing; the bar stays as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
