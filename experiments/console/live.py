"""Progress as a table that stays in place on a terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from assay.experiments.formatting import clock, measured, shown, sparkline
from assay.experiments.run.progress import SweepState, TrialProgress, headline
from assay.experiments.terminal_text import in_line, visible
from assay.search.events import Event

_LABEL_CHARACTERS = 30  # MLflow has the rest of a long error
_NARROWEST_WITH_SETTINGS = 110
_STATE_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red"}


class LiveDisplay:
    """Draws the sweep on a terminal: how far it is, the best so far, the running trials with their
    curves.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: SweepState | None = None
        self._live: Live | None = None

    def log(self, text: str) -> None:
        """Print the text above the table."""
        self._console.print(visible(text), markup=False, highlight=False)

    def on_open(self, state: SweepState) -> None:
        """Print the headline and begin to draw."""
        self.log(headline(state))
        self._state = state
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=4)
        self._live.start()

    def on_event(self, event: Event) -> None:
        """Take the event in; the next drawing shows it."""
        if self._state is not None:
            self._state.apply(event)

    def on_close(self) -> None:
        """Leave the table as it is and draw no more."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> RenderableType:
        return Text() if self._state is None else draw(self._state, self._console.width)


def draw(state: SweepState, width: int) -> RenderableType:
    """Return the whole picture of a sweep; on a terminal of few columns without the
    configurations.
    """
    return Group(
        _headline(state), _table(state, showing_settings=width >= _NARROWEST_WITH_SETTINGS)
    )


def _headline(state: SweepState) -> RenderableType:
    left = state.seconds_left()
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        Text(state.study, style="bold"),
        ProgressBar(total=state.wanted, completed=state.done, width=24),
        f"{state.done}/{state.wanted} trials"
        + (f", {state.failed} failed" if state.failed else ""),
        state.best() if state.best_trials.values else "no best yet",
        "workers are starting"
        if left is None and not state.running
        else ""
        if left is None
        else f"{clock(left)} left",
    )
    return grid


def _table(state: SweepState, showing_settings: bool) -> Table:
    settings = tuple(state.experiment.space) if showing_settings else ()
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    others = [
        objective.metric
        for objective in state.objectives.each
        if objective.metric != state.curve_metric
    ]
    for name in ("trial", "state", "epoch", state.curve_metric, "curve", *others, *settings):
        table.add_column(Text(in_line(name)), no_wrap=True)
    for trial in [*state.recent, *state.running.values()]:
        values = (
            Text(shown(trial.searched[name]) if name in trial.searched else "") for name in settings
        )
        table.add_row(*_row(state, trial), *_others(state, trial), *values)
    return table


def _row(state: SweepState, trial: TrialProgress) -> tuple[RenderableType, ...]:
    label, style = (
        ("running", "cyan")
        if trial.end is None
        else (trial.end.label, _STATE_STYLES[trial.end.state])
    )
    best = trial.number in state.best_trials.values
    return (
        Text(str(trial.number), style="bold" if best else ""),
        Text(
            ", ".join(filter(None, (in_line(label), trial.again)))[:_LABEL_CHARACTERS], style=style
        ),
        f"{len(trial.curve)}/{state.experiment.largest('epochs')}",
        f"{trial.curve[-1]:.4f}" if trial.curve else "",
        Text(sparkline(trial.curve), style="blue"),
    )


def _others(state: SweepState, trial: TrialProgress) -> list[str]:
    """Return the values of the objectives that have no curve, or none in this table."""
    values = trial.end.values if trial.end is not None else ()
    metrics = [objective.metric for objective in state.objectives.each]
    known = dict(zip(metrics, values, strict=False))
    return [
        measured(known[metric]) if metric in known else ""
        for metric in metrics
        if metric != state.curve_metric
    ]
