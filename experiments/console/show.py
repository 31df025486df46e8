"""A study, for people: its counts, its best, its trials, what mattered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from assay.experiments.console.tables import bars, console, grid, plain_table, what_mattered
from assay.experiments.formatting import measured, shown, sparkline
from assay.experiments.results.frames import COST_COLUMNS
from assay.experiments.results.study import StudyResult
from assay.experiments.results.trial import TrialResult
from assay.experiments.terminal_text import in_line, visible
from assay.models.names import check_name
from assay.search.objective import Objectives
from assay.search.workers.protocol import REDO, RETRY

if TYPE_CHECKING:
    import pandas


_MOST_ROWS = 30
_WIDE_COLUMNS = 150
_RANK = {"complete": 0, "pruned": 1, "running": 2}


def ordered(study: StudyResult, column: str | None = None) -> pandas.DataFrame:
    """Return the trials, the best first: complete ones before pruned, running and failed ones.

    Args:
        study: the study.
        column: what to sort by instead: an objective's metric, best first; a cost, lowest first; or
            "trial".

    Raises:
        RequestError: there is no such column.
    """
    objectives = Objectives.read(study.objectives)
    ways = {objective.metric: objective.direction == "minimize" for objective in objectives.each}
    known = [*ways, *(cost for cost in COST_COLUMNS if cost not in ways), "trial"]
    by = (
        objectives.each[0].metric
        if column is None
        else check_name("column to sort by", column, known)
    )
    trials = study.trials.sort_index()
    if by != "trial":
        trials = trials.sort_values(
            by, ascending=ways.get(by, True), kind="stable", na_position="last"
        )
    if column is not None:
        return trials
    return trials.sort_values(
        "state", key=lambda states: states.map(lambda state: _RANK.get(state, 3)), kind="stable"
    )


def rows(trials: pandas.DataFrame) -> list[dict[str, Any]]:
    """Return a table as `--json` has it, what is missing as None."""
    frame = trials.reset_index()
    return [
        {str(name): value for name, value in row.items()}
        for row in _plain(frame).to_dict("records")
    ]


def print_study(
    study: StudyResult, trials: pandas.DataFrame, every: bool, describe_runner: str
) -> None:
    """Print a study.

    Args:
        study: what is known of it.
        trials: its trials in the order to show them in.
        every: show all trials, however many there are.
        describe_runner: in words, who runs those that are running.
    """
    out = console()
    counted = ", ".join(f"{number} {state}" for state, number in study.counts.items())
    running = int((study.trials["state"] == "running").sum())
    out.print(
        Text(
            f"{visible(study.study)}: {counted}{f', {running} running' if running else ''}",
            style="bold",
        )
    )
    if running:
        out.print(Text(in_line(describe_runner)))
    out.print(f"experiment {in_line(study.experiment)}; {', '.join(study.objectives)}")
    if study.best is not None:
        run = "" if study.best["run_id"] is None else f", run {study.best['run_id']}"
        out.print(f"\nbest: {study.best['value']:.4f} (trial {study.best['number']}{run})")
        out.print(grid(study.best["params"]))
    _print_trials(study, trials if every else trials[:_MOST_ROWS])
    if study.pareto:
        out.print(
            "* on the Pareto front: no trial is better in one objective without being worse in another"
        )
    if len(trials) > _MOST_ROWS and not every:
        out.print(f"{len(trials) - _MOST_ROWS} more: --all shows them")
    for metric, shares in study.importances.items():
        out.print(
            what_mattered(
                study.importance, None if study.pareto is None else metric, study.counts["complete"]
            )
        )
        out.print(bars(shares))
    parent = "" if study.parent_run_id is None else f"  (the study's own: {study.parent_run_id})"
    out.print(f"\nruns:  {study.tracking_uri}{parent}")


def _print_trials(study: StudyResult, trials: pandas.DataFrame) -> None:
    if trials.empty:
        return
    out = console()
    wide = out.width >= _WIDE_COLUMNS
    metrics = {objective.metric for objective in Objectives.read(study.objectives).each}
    # Between the state and the seed lie the objectives and what was searched; what follows has the
    # one trial's page.
    columns = [str(name) for name in trials.columns]
    again = trials["origin"].astype(str).str.startswith((REDO, RETRY)).any()
    last = (["origin"] if again else []) + (["epochs", "run_id"] if wide else ["epochs"])
    columns = columns[1 : columns.index("seed")] + last
    marked = {
        trial["number"] for trial in study.pareto or ([] if study.best is None else [study.best])
    }
    table = plain_table("  trial", "state", *dict.fromkeys(columns))
    table.columns[0].no_wrap = True
    for number, row in zip(trials.index, rows(trials), strict=True):
        cells = (_cell(row[name], name in metrics) for name in dict.fromkeys(columns))
        table.add_row(f"{'*' if number in marked else ' '} {number}", in_line(row["state"]), *cells)
    out.print()
    out.print(table)


def _cell(value: Any, is_measured: bool) -> str:
    if value is None:
        return ""
    return measured(value) if is_measured else shown(value)


def _plain(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.astype(object).where(frame.notna(), None)


# One training, for people.


_MOST_EPOCHS = 30


def print_trial(trial: TrialResult, every: bool) -> None:
    """Print a trial, or a single run; its last epochs, or every one."""
    out = console()
    name = (
        f"run {trial.run_id}" if trial.number is None else f"trial {trial.number} of {trial.study}"
    )
    out.print(Text(visible(f"{name}: {trial.state}"), style="bold"))
    out.print(visible(f"experiment {trial.experiment}; origin {trial.origin}; seed {trial.seed}"))
    for metric, value in trial.values.items():
        out.print(f"{metric}: {measured(value)}")
    if trial.error is not None:
        out.print("\nerror:")
        out.print(
            Text("\n".join(f"  {line}" for line in visible(trial.error).split("\n")), style="red")
        )
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
        bars = (
            sparkline(finite) if len(finite) == len(values) else ""
        )  # of what diverged there is no curve to draw
        told = (values[0], min(finite), max(finite), values[-1])
        table.add_row(f"  {name}", bars, *map(measured, told))
    return table


def _epochs(trial: TrialResult, every: bool) -> Table:
    table = plain_table("  epoch", *trial.curve)
    epochs = list(enumerate(zip(*trial.curve.values(), strict=False), start=1))
    for epoch, values in epochs if every else epochs[-_MOST_EPOCHS:]:
        table.add_row(f"  {epoch}", *map(measured, values))
    return table
