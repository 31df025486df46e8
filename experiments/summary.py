"""What a sweep found, for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.progress.state import shown
from experiments.single_run import RunResult
from experiments.sweep_result import SweepResult
from search.urls import masked

_BAR_CHARACTERS = 24


def print_summary(result: SweepResult, to_stderr: bool = False) -> None:
    """Print how the sweep ended, the best configuration, what mattered, where the runs are and how to go on."""
    out = Console(stderr=to_stderr, soft_wrap=True, highlight=False, markup=False)
    out.print(Text(_outcome(result), style="bold"))
    if result.ending.failure is not None:
        out.print(Text(f"stopped: {result.ending.failure}", style="red"))
    if result.best is not None:
        out.print(f"\nbest: {result.best.value:.4f} (trial {result.best.number}, run {result.best.run_id})")
        out.print(_settings(result))
    if result.importances:
        out.print("\nwhat mattered (share of the variance of good results, PED-ANOVA):")
        out.print(_importances(result))
    out.print(f"\nruns:  {masked(result.tracking_uri)}  (experiment {result.experiment}, study {result.study})")
    if not result.tracked:
        out.print(
            "MLflow has not taken everything yet; nothing is lost: the next sweep of this study passes on the rest."
        )
    out.print(f"look:  assay ui {result.study}")


def _outcome(result: SweepResult) -> str:
    trials = result.trials
    counted = f"{trials['complete']} complete, {trials['pruned']} pruned, {trials['failed']} failed"
    command = f"assay sweep {result.experiment}"
    if result.done >= result.wanted:
        more = f"--trials {2 * result.wanted} adds {2 * result.wanted - result.done}, --study NAME starts anew"
        return f"{result.study}: {result.done} of {result.wanted} done ({counted}); {more}"
    how = {"finished": "time is up", "interrupted": "interrupted", "failed": "failed"}[result.ending.closing]
    return f"{result.study}: {how} with {result.done} of {result.wanted} done ({counted}); {command} goes on from here"


def _settings(result: SweepResult) -> Table:
    assert result.best is not None
    table = Table.grid(padding=(0, 2))
    for name, value in result.best.params.items():
        table.add_row(f"  {name}", shown(value))
    return table


def _importances(result: SweepResult) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, share in result.importances.items():
        table.add_row(f"  {name}", "█" * max(1, round(share * _BAR_CHARACTERS)), f"{share:.0%}")
    return table


def print_run(result: RunResult, to_stderr: bool = False) -> None:
    """Print what one training gave."""
    out = Console(stderr=to_stderr, soft_wrap=True, highlight=False, markup=False)
    out.print(Text(f"run {result.run_id}: {result.state}", style="bold"))
    if result.error is not None:
        out.print(result.error)
    for title, values in (("parameters", result.params), ("metrics", result.metrics)):
        out.print(f"\n{title}:")
        table = Table.grid(padding=(0, 2))
        for name, value in values.items():
            table.add_row(f"  {name}", f"{value:.4g}" if isinstance(value, float) else str(value))
        out.print(table)
    out.print("\nlook:  assay ui")
