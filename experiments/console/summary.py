"""What a sweep or a run found, for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from assay.experiments.console.tables import bars, console, grid, plain_table, what_mattered
from assay.experiments.formatting import clock, measured, shown
from assay.experiments.run.dry_run import Forecast
from assay.experiments.run.result import SweepResult
from assay.experiments.run.single import RunResult
from assay.experiments.terminal_text import in_line, visible
from assay.search.system.urls import scrubbed


def print_summary(result: SweepResult, again: str, look: str, to_stderr: bool = False) -> None:
    """Print how the sweep ended, the best configuration, what mattered, where the runs are and how
    to go on.

    Args:
        result: what was found.
        again: the command that goes on from here.
        look: the command that shows the study.
        to_stderr: because somebody reads standard output.
    """
    out = console(to_stderr)
    out.print()
    out.print(
        Text(_outcome(result, in_line(scrubbed(again))), style="bold"),
        soft_wrap=not out.is_terminal,
    )
    if result.best is not None:
        run = "" if result.best.run_id is None else f", run {result.best.run_id}"
        out.print(f"\nbest: {result.best.values[0]:.4f} (trial {result.best.number}{run})")
        out.print(grid(result.best.params))
        if result.untracked is None:
            out.print(f"model: runs:/{result.parent_run_id}/model")
    elif result.best_trials:
        out.print(
            "\nPareto front: no trial is better in one objective without being worse in another"
        )
        out.print(_front(result))
        out.print("models: runs:/RUN/model, for each run of the front")
    for objective, shares in result.importances.items():
        of = None if result.objectives.single is not None else objective
        out.print(what_mattered(result.importance, of, result.trials["complete"]))
        out.print(bars(shares))
    out.print(
        f"\nruns:  {result.tracking_uri}  (experiment {in_line(result.experiment)}, study {result.study})"
    )
    out.print(f"look:  {in_line(look)}")


def print_forecast(told: Forecast, to_stderr: bool = False) -> None:
    """Print what a sweep would do and cost."""
    out = console(to_stderr)
    size = "" if told.configurations is None else f", {told.configurations:,} configurations"
    out.print(
        Text(
            f"{told.study}: nothing was written; a sweep would train {told.trials} trials{size}",
            style="bold",
        )
    )
    out.print("\nspace:")
    out.print(grid(told.space))
    out.print(
        "\nfirst trials of a new study (what the sampler tries later depends on what it finds):"
    )
    names = list(told.space)
    first = plain_table("  whose", *names)
    for origin, one in told.first:
        first.add_row(f"  {origin}", *(shown(one[name]) if name in one else "" for name in names))
    out.print(first)
    out.print(f"\ncost: {_cost(told)}")


def _cost(told: Forecast) -> str:
    if told.seconds is None or told.memory_bytes is None:
        return f"not measured: {told.unmeasured}"
    at_a_time = f"{told.workers} at a time" if told.workers > 1 else "one after the other"
    measured_on = f"from two epochs of each of the first {min(3, told.trials)}"
    return (
        f"about {clock(told.seconds)} for {told.trials} trials {at_a_time} if none is stopped early, and "
        f"{told.memory_bytes / 2**30:.1f} GiB of memory ({measured_on}); the start takes some seconds more"
    )


def print_run(result: RunResult, to_stderr: bool = False) -> None:
    """Print what one training gave."""
    out = console(to_stderr)
    out.print(Text(f"run {result.run_id}: {result.state}", style="bold"))
    if result.error is not None:
        out.print(visible(result.error))
    for title, values in (("parameters", result.params), ("metrics", result.metrics)):
        out.print(f"\n{title}:")
        table = Table.grid(padding=(0, 2))
        for name, value in values.items():
            table.add_row(
                f"  {in_line(name)}",
                f"{value:.4g}" if isinstance(value, float) else in_line(str(value)),
            )
        out.print(table)
    out.print(f"\nruns:  {result.tracking_uri}  (experiment {in_line(result.experiment)})")


def _outcome(result: SweepResult, again: str) -> str:
    trials = result.trials
    counted = f"{trials['complete']} complete, {trials['pruned']} pruned, {trials['failed']} failed"
    if result.done >= result.wanted:
        adds = f"--trials {result.done + result.wanted} adds {result.wanted}"
        more = f"{'every configuration was tried' if result.exhausted else adds}, --study NAME starts anew"
        return f"{result.study}: {result.done} of {result.wanted} done ({counted}); {more}"
    finished = "every configuration was tried" if result.exhausted else "time is up"
    how = {"finished": finished, "interrupted": "interrupted", "failed": "failed"}[
        result.ending.closing
    ]
    return f"{result.study}: {how} with {result.done} of {result.wanted} done ({counted}); to go on: {again}"


def _front(result: SweepResult) -> Table:
    names = list(dict.fromkeys(name for leader in result.best_trials for name in leader.params))
    table = plain_table(
        "  trial", *(objective.metric for objective in result.objectives.each), *names, "run"
    )
    for leader in result.best_trials:
        settings = (shown(leader.params[name]) if name in leader.params else "" for name in names)
        table.add_row(f"  {leader.number}", *map(measured, leader.values), *settings, leader.run_id)
    return table
