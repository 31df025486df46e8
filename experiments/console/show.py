"""Output of `assay show`: a study, or a trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from assay.experiments.console.claims import format_claim_epoch, print_checks, print_claim
from assay.experiments.console.importance import print_importance
from assay.experiments.console.tables import (
    create_console,
    param_grid,
    plain_table,
)
from assay.experiments.formatting import (
    format_metric,
    format_param,
    format_state_counts,
    sparkline,
)
from assay.experiments.results.frames import COST_COLUMNS
from assay.experiments.results.study import StudyResult, format_models
from assay.experiments.results.trial import TrialResult
from assay.experiments.terminal_text import escape_line, escape_text
from assay.models.names import check_name
from assay.search.objective import Objectives
from assay.search.workers.protocol import REDO, RETRY

if TYPE_CHECKING:
    import pandas

_MAX_TRIALS = 30
_MAX_EPOCHS = 30
_WIDE_COLUMNS = 150
_STATE_RANK = {"complete": 0, "pruned": 1, "running": 2}
_LAST_RANK = 3  # of failed trials, whose state names a reason


def sort_trials(study: StudyResult, column: str | None = None) -> pandas.DataFrame:
    """Return the trials of a study, the best first.

    Args:
        study: the study.
        column: what to sort by: a metric of an objective (best first), a cost (lowest first), or
            "trial". None: by the first objective, complete trials before pruned, running and failed
            ones.

    Raises:
        RequestError: there is no such column.
    """
    objectives = Objectives.read(study.objectives)
    ascending = {
        objective.metric: objective.direction == "minimize" for objective in objectives.each
    }
    columns = [*ascending, *(cost for cost in COST_COLUMNS if cost not in ascending), "trial"]
    by = (
        objectives.each[0].metric
        if column is None
        else check_name("column to sort by", column, columns)
    )
    # Stable sorts one after the other: equal trials stay in the order of their numbers, as on the
    # Pareto front, where the lowest number counts.
    trials = study.trials.sort_index()
    if by != "trial":
        trials = trials.sort_values(
            by, ascending=ascending.get(by, True), kind="stable", na_position="last"
        )
    if column is not None:
        return trials
    return trials.sort_values(
        "state",
        key=lambda states: states.map(lambda state: _STATE_RANK.get(state, _LAST_RANK)),
        kind="stable",
    )


def to_rows(trials: pandas.DataFrame) -> list[dict[str, Any]]:
    """Return a table as plain rows, missing values as None."""
    frame = trials.reset_index()
    # As objects: a column of whole numbers cannot hold None.
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def print_study(
    study: StudyResult,
    trials: pandas.DataFrame,
    show_all: bool,
    runner: str,
    decision: str = "",
) -> None:
    """Print a study.

    Args:
        study: the study.
        trials: its trials, in the order to print them in.
        show_all: print all trials, not only 30.
        runner: sentence that says who runs the trials that are running.
        decision: line about what finalize found; empty if it found nothing.
    """
    out = create_console()
    counts = format_state_counts(study.counts)
    running = int((study.trials["state"] == "running").sum())
    if running:
        counts = f"{counts}, {running} running"
    out.print(Text(f"{escape_text(study.study)}: {counts}", style="bold"))
    if running:
        out.print(Text(escape_line(runner)))
    objectives = escape_line(", ".join(study.objectives))
    out.print(f"experiment {escape_line(study.experiment)}; {objectives}")
    if study.best is not None:
        run = "" if study.best["run_id"] is None else f", run {study.best['run_id']}"
        epoch = format_claim_epoch(study.evaluation)
        out.print(f"\nbest: {study.best['value']:.4f} (trial {study.best['number']}{epoch}{run})")
        out.print(param_grid(study.best["params"]))
    for line in format_models(study):
        out.print(escape_line(line))
    if decision:
        out.print(f"\n{decision}")
    print_claim(study.evaluation)
    _print_trials(study, trials if show_all else trials[:_MAX_TRIALS])
    if study.pareto:
        out.print(
            "* on the Pareto front: no trial is better in one objective without being worse in "
            "another"
        )
    if len(trials) > _MAX_TRIALS and not show_all:
        out.print(f"{len(trials) - _MAX_TRIALS} more trials: --all shows them")
    print_importance(out, study.importance, all_effects=True)
    print_checks(study.evaluation)
    parent = "" if study.parent_run_id is None else f"  (parent run {study.parent_run_id})"
    out.print(f"\nruns:  {study.tracking_uri}{parent}")


def _print_trials(study: StudyResult, trials: pandas.DataFrame) -> None:
    if trials.empty:
        return
    out = create_console()
    metrics = {objective.metric for objective in Objectives.read(study.objectives).each}
    # The objectives and the searched hyperparameters stand between the state and the seed; the
    # columns behind them are on the page of a single trial.
    names = [str(name) for name in trials.columns]
    columns = names[1 : names.index("seed")]
    if trials["origin"].astype(str).str.startswith((REDO, RETRY)).any():
        columns.append("origin")
    columns.append("epochs")
    if "restored_epoch" in names:
        columns.append("restored_epoch")
    if out.width >= _WIDE_COLUMNS:
        columns.append("run_id")
    columns = list(dict.fromkeys(columns))  # "epochs" may be searched too
    best = study.pareto or ([] if study.best is None else [study.best])
    marked = {trial["number"] for trial in best}
    table = plain_table("  trial", "state", *columns)
    table.columns[0].no_wrap = True
    for number, row in zip(trials.index, to_rows(trials), strict=True):
        cells = (_format_cell(row[name], name in metrics) for name in columns)
        marker = "*" if number in marked else " "
        table.add_row(f"{marker} {number}", escape_line(row["state"]), *cells)
    out.print()
    out.print(table)


def _format_cell(value: Any, is_metric: bool) -> str:
    if value is None:
        return ""
    return format_metric(value) if is_metric else format_param(value)


def print_trial(trial: TrialResult, show_all: bool) -> None:
    """Print a trial or a single run.

    Args:
        trial: the trial.
        show_all: print all epochs, not only the last 30.
    """
    out = create_console()
    name = (
        f"run {trial.run_id}" if trial.number is None else f"trial {trial.number} of {trial.study}"
    )
    out.print(Text(escape_text(f"{name}: {trial.state}"), style="bold"))
    out.print(
        escape_text(f"experiment {trial.experiment}; origin {trial.origin}; seed {trial.seed}")
    )
    for metric, value in trial.values.items():
        out.print(f"{escape_line(metric)}: {format_metric(value)}")
    if (kept := _format_kept_epoch(trial)) is not None:
        out.print(kept)
    if trial.model is not None:
        out.print(f"model: {trial.model}")
    if trial.error is not None:
        out.print("\nerror:")
        lines = escape_text(trial.error).split("\n")
        out.print(Text("\n".join(f"  {line}" for line in lines), style="red"))
    out.print("\nhyperparameters:")
    out.print(param_grid(trial.params))
    if trial.costs:
        out.print("\ncosts:")
        costs = {name: format_metric(value) for name, value in trial.costs.items()}
        out.print(param_grid(costs))
    if trial.curve:
        out.print("\ncurves:")
        out.print(_curve_table(trial))
        out.print()
        out.print(_epoch_table(trial, show_all))
    run = "" if trial.run_id is None else f"  (run {trial.run_id})"
    out.print(f"\nruns:  {trial.tracking_uri}{run}")


def _format_kept_epoch(trial: TrialResult) -> str | None:
    """Return what the epoch that early stopping kept measured; None without one."""
    epoch = trial.costs.get("restored_epoch")
    if epoch is None:
        return None
    at = int(epoch) - 1
    measured = ", ".join(
        f"{escape_line(name)} {format_metric(values[at])}"
        for name, values in trial.curve.items()
        if at < len(values)
    )
    return f"early stopping kept epoch {epoch:g}{': ' if measured else ''}{measured}"


def _curve_table(trial: TrialResult) -> Table:
    # Lowest and highest, not best: only an objective has a direction.
    table = plain_table("  metric", "curve", "first", "lowest", "highest", "last")
    for name, values in trial.curve.items():
        finite = [value for value in values if math.isfinite(value)] or [math.nan]
        # A curve with NaN or infinity has no scale to draw it on.
        curve = sparkline(finite) if len(finite) == len(values) else ""
        numbers = (values[0], min(finite), max(finite), values[-1])
        table.add_row(f"  {escape_line(name)}", curve, *map(format_metric, numbers))
    return table


def _epoch_table(trial: TrialResult, show_all: bool) -> Table:
    table = plain_table("  epoch", *trial.curve)
    epochs = list(enumerate(zip(*trial.curve.values(), strict=False), start=1))
    for epoch, values in epochs if show_all else epochs[-_MAX_EPOCHS:]:
        table.add_row(f"  {epoch}", *map(format_metric, values))
    return table
