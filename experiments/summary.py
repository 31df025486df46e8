"""What a sweep or a run found, for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from experiments.printing import bars, console, grid, plain_table
from experiments.progress.state import measured, shown
from experiments.single_run import RunResult
from experiments.sweep_result import SweepResult
from search.importances import find_evaluator


def print_summary(result: SweepResult, again: str, look: str, to_stderr: bool = False) -> None:
    """Print how the sweep ended, the best configuration, what mattered, where the runs are and how to go on.

    Args:
        result: what was found.
        again: the command that goes on from here.
        look: the command that shows the study.
        to_stderr: because somebody reads standard output.
    """
    out = console(to_stderr)
    out.print()
    out.print(Text(_outcome(result, again), style="bold"), soft_wrap=not out.is_terminal)
    if result.ending.failure is not None:
        out.print(Text(f"stopped: {result.ending.failure}", style="red"))
    if result.best is not None:
        out.print(f"\nbest: {result.best.values[0]:.4f} (trial {result.best.number}, run {result.best.run_id})")
        out.print(grid(result.best.params))
        out.print(f"model: runs:/{result.parent_run_id}/model")
    elif result.leaders:
        out.print("\nPareto front: no trial is better in one objective without being worse in another")
        out.print(_front(result))
        out.print("models: runs:/RUN/model, for each run of the front")
    for objective, shares in result.importances.items():
        of = "" if result.objectives.single is not None else f" for {objective}"
        out.print(f"\nwhat mattered{of} ({find_evaluator(result.importance).summary}):")
        out.print(bars(shares))
    out.print(f"\nruns:  {result.tracking_uri}  (experiment {result.experiment}, study {result.study})")
    if result.untracked is not None:
        out.print(f"MLflow has not taken everything ({result.untracked.strip()}).")
        out.print("Nothing is lost: the next sweep of this study passes on the rest.")
    out.print(f"look:  {look}")


def print_run(result: RunResult, to_stderr: bool = False) -> None:
    """Print what one training gave."""
    out = console(to_stderr)
    out.print(Text(f"run {result.run_id}: {result.state}", style="bold"))
    if result.error is not None:
        out.print(result.error)
    for title, values in (("parameters", result.params), ("metrics", result.metrics)):
        out.print(f"\n{title}:")
        table = Table.grid(padding=(0, 2))
        for name, value in values.items():
            table.add_row(f"  {name}", f"{value:.4g}" if isinstance(value, float) else str(value))
        out.print(table)
    out.print(f"\nruns:  {result.tracking_uri}  (experiment {result.experiment})")


def _outcome(result: SweepResult, again: str) -> str:
    trials = result.trials
    counted = f"{trials['complete']} complete, {trials['pruned']} pruned, {trials['failed']} failed"
    if result.done >= result.wanted:
        adds = f"--trials {result.done + result.wanted} adds {result.wanted}"
        more = f"{'every configuration was tried' if result.exhausted else adds}, --study NAME starts anew"
        return f"{result.study}: {result.done} of {result.wanted} done ({counted}); {more}"
    finished = "every configuration was tried" if result.exhausted else "time is up"
    how = {"finished": finished, "interrupted": "interrupted", "failed": "failed"}[result.ending.closing]
    return f"{result.study}: {how} with {result.done} of {result.wanted} done ({counted}); to go on: {again}"


def _front(result: SweepResult) -> Table:
    names = list(dict.fromkeys(name for leader in result.leaders for name in leader.params))
    table = plain_table("  trial", *(objective.metric for objective in result.objectives.each), *names, "run")
    for leader in result.leaders:
        settings = (shown(leader.params[name]) if name in leader.params else "" for name in names)
        table.add_row(f"  {leader.number}", *map(measured, leader.values), *settings, leader.run_id)
    return table
