"""One training, for people."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from experiments.printing import console, grid, plain_table
from experiments.progress.state import measured, sparkline
from experiments.trial_result import TrialResult
from experiments.words import visible

_MOST_EPOCHS = 30


def print_trial(trial: TrialResult, every: bool) -> None:
    """Print a trial, or a single run; its last epochs, or every one."""
    out = console()
    name = f"run {trial.run_id}" if trial.number is None else f"trial {trial.number} of {trial.study}"
    out.print(Text(visible(f"{name}: {trial.state}"), style="bold"))
    out.print(visible(f"experiment {trial.experiment}; origin {trial.origin}; seed {trial.seed}"))
    for metric, value in trial.values.items():
        out.print(f"{metric}: {measured(value)}")
    if trial.error is not None:
        out.print("\nerror:")
        out.print(Text("\n".join(f"  {line}" for line in visible(trial.error).split("\n")), style="red"))
    out.print("\nhyperparameters:")
    out.print(grid(trial.params))
    if trial.costs:
        out.print("\ncosts:")
        out.print(grid({name: measured(value) for name, value in trial.costs.items()}))
    if trial.curve:
        out.print("\ncurves:")
        out.print(_curves(trial))
        out.print()
        out.print(_epochs(trial, every))
    run = "" if trial.run_id is None else f"  (run {trial.run_id})"
    out.print(f"\nruns:  {trial.tracking_uri}{run}")


def _curves(trial: TrialResult) -> Table:
    # The lowest and the highest, because which of them is best only objectives say.
    table = plain_table("  metric", "curve", "first", "lowest", "highest", "last")
    for name, values in trial.curve.items():
        finite = [value for value in values if math.isfinite(value)] or [math.nan]
        bars = sparkline(finite) if len(finite) == len(values) else ""  # of what diverged there is no curve to draw
        told = (values[0], min(finite), max(finite), values[-1])
        table.add_row(f"  {name}", bars, *map(measured, told))
    return table


def _epochs(trial: TrialResult, every: bool) -> Table:
    table = plain_table("  epoch", *trial.curve)
    epochs = list(enumerate(zip(*trial.curve.values(), strict=False), start=1))
    for epoch, values in epochs if every else epochs[-_MOST_EPOCHS:]:
        table.add_row(f"  {epoch}", *map(measured, values))
    return table
