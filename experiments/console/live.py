"""Progress as a live table on a terminal."""

from __future__ import annotations

from contextlib import ExitStack

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from assay.experiments.formatting import format_duration, format_metric, format_param, sparkline
from assay.experiments.run.progress import (
    SweepState,
    TrialProgress,
    format_epoch,
    headline,
)
from assay.experiments.terminal_text import escape_line, escape_text, escaped_streams
from assay.search.events import Event

_STATE_CHARACTERS = 30  # MLflow has the rest of a long error
_MIN_COLUMNS_FOR_PARAMS = 110
_STATE_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red"}


class LiveDisplay:
    """Draws the progress of a sweep and its latest trials.

    Args:
        console: of the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: SweepState | None = None
        self._live: Live | None = None

    def log(self, text: str) -> None:
        """Print the text above the table."""
        self._console.print(escape_text(text), markup=False, highlight=False)

    def on_open(self, state: SweepState) -> None:
        """Print the headline and draw the table."""
        self.log(headline(state))
        self._state = state
        # Rich draws from its own thread, so a sweep of many short epochs does not wait for the
        # terminal.
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4)
        self._live.start()
        # Until it stops, Rich prints above the table what others write to the standard streams, and
        # reads control codes in it.
        self._streams = ExitStack()
        self._streams.enter_context(escaped_streams())

    def on_event(self, event: Event) -> None:
        """Update the state; the next refresh draws it."""
        if self._state is not None:
            self._state.apply(event)

    def on_close(self) -> None:
        """Stop drawing; the table stays as it is."""
        if self._live is not None:
            self._streams.close()
            self._live.stop()
            self._live = None

    def _render(self) -> RenderableType:
        return Text() if self._state is None else render_sweep(self._state, self._console.width)


def render_sweep(state: SweepState, columns: int) -> RenderableType:
    """Return the progress line and the table of a sweep.

    Args:
        state: of the sweep.
        columns: width of the terminal; below 110 the hyperparameters are left out.
    """
    return Group(
        _progress_line(state),
        _trial_table(state, with_params=columns >= _MIN_COLUMNS_FOR_PARAMS),
    )


def _progress_line(state: SweepState) -> RenderableType:
    seconds_left = state.seconds_left()
    if seconds_left is not None:
        remaining = f"{format_duration(seconds_left)} left"
    else:
        remaining = "" if state.running else "workers are starting"
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        Text(state.study, style="bold"),
        ProgressBar(total=state.wanted, completed=state.done, width=24),
        ", ".join(filter(None, (f"{state.done}/{state.wanted} {state.noun}s", state.failures()))),
        state.best() or ("" if state.is_finalize else "no best yet"),
        remaining,
    )
    return grid


def _trial_table(state: SweepState, with_params: bool) -> Table:
    params = tuple(state.experiment.space) if with_params else ()
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    other_metrics = [
        objective.metric
        for objective in state.objectives.each
        if objective.metric != state.curve_metric
    ]
    fixed = (state.noun, "state", "epoch", state.curve_metric, "curve")
    for name in (*fixed, *other_metrics, *params):
        table.add_column(Text(escape_line(name)), no_wrap=True)
    for trial in [*state.recent, *state.running.values()]:
        values = (
            Text(format_param(trial.searched[name]) if name in trial.searched else "")
            for name in params
        )
        table.add_row(*_trial_cells(state, trial), *_other_objectives(state, trial), *values)
    return table


def _trial_cells(state: SweepState, trial: TrialProgress) -> tuple[RenderableType, ...]:
    label, style = (
        ("running", "cyan")
        if trial.end is None
        else (trial.end.label, _STATE_STYLES[trial.end.state])
    )
    best = not state.is_finalize and trial.number in state.best_trials.values
    state_text = ", ".join(filter(None, (escape_line(label), trial.again)))
    return (
        Text(str(trial.number), style="bold" if best else ""),
        Text(state_text[:_STATE_CHARACTERS], style=style),
        f"{len(trial.curve)}/{state.experiment.largest_value('epochs')}",
        "" if trial.value is None else f"{trial.value:.4f}{format_epoch(trial.restored_epoch)}",
        Text(sparkline(trial.curve), style="blue"),
    )


def _other_objectives(state: SweepState, trial: TrialProgress) -> list[str]:
    """Return the values of the objectives that have no curve."""
    values = trial.end.values if trial.end is not None else ()
    metrics = [objective.metric for objective in state.objectives.each]
    known = dict(zip(metrics, values, strict=False))
    return [
        format_metric(known[metric]) if metric in known else ""
        for metric in metrics
        if metric != state.curve_metric
    ]
