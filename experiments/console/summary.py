"""Summaries of a sweep, a dry run and a single training."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from assay.experiments.console.claims import (
    format_claim_epoch,
    print_claim,
    print_fired_checks,
)
from assay.experiments.console.importance import print_importance
from assay.experiments.console.tables import (
    create_console,
    param_grid,
    plain_table,
)
from assay.experiments.formatting import (
    format_duration,
    format_metric,
    format_param,
    format_state_counts,
)
from assay.experiments.run.dry_run import Forecast
from assay.experiments.run.progress import read_restored_epoch
from assay.experiments.run.result import RunResult, SweepResult
from assay.experiments.terminal_text import escape_line, escape_text
from assay.search.system.urls import scrub_secrets


def print_summary(
    result: SweepResult,
    resume_command: str,
    next_commands: Mapping[str, str],
    to_stderr: bool = False,
) -> None:
    """Print how a sweep ended, and its best configuration.

    Args:
        result: of the sweep.
        resume_command: resumes the study.
        next_commands: what can be done with the study, by one word about it.
        to_stderr: print to standard error, because standard output is for JSON.
    """
    out = create_console(to_stderr)
    out.print()
    out.print(
        Text(_format_ending(result, escape_line(scrub_secrets(resume_command))), style="bold"),
        soft_wrap=not out.is_terminal,
    )
    if result.best is not None:
        run = "" if result.best.run_id is None else f", run {result.best.run_id}"
        epoch = format_claim_epoch(result.evaluation)
        out.print(f"\nbest: {result.best.values[0]:.4f} (trial {result.best.number}{epoch}{run})")
        out.print(param_grid(result.best.params))
        _print_models(result, to_stderr)
    elif result.best_trials:
        out.print(
            "\nPareto front: no trial is better in one objective without being worse in another"
        )
        out.print(_front_table(result))
        _print_models(result, to_stderr)
    print_claim(result.evaluation, to_stderr)
    print_fired_checks(result.evaluation, to_stderr)
    print_importance(out, result.importance)
    experiment = escape_line(result.experiment)
    out.print(f"\nruns:   {result.tracking_uri}  (experiment {experiment}, study {result.study})")
    for word, command in next_commands.items():
        out.print(f"{word + ':':8}{escape_line(command)}")


def print_dry_run(forecast: Forecast, to_stderr: bool = False) -> None:
    """Print what a sweep would do and cost."""
    out = create_console(to_stderr)
    size = (
        "" if forecast.configurations is None else f", {forecast.configurations:,} configurations"
    )
    out.print(
        Text(
            f"{forecast.study}: dry run, nothing was written; "
            f"the sweep would train {forecast.trials} trials{size}",
            style="bold",
        )
    )
    out.print("\nspace:")
    out.print(param_grid(forecast.space))
    out.print(
        "\nfirst trials of a new study (later ones depend on the sampler and on the results):"
    )
    names = list(forecast.space)
    first_trials = plain_table("  origin", *names)
    for origin, params in forecast.first:
        values = (format_param(params[name]) if name in params else "" for name in names)
        first_trials.add_row(f"  {origin}", *values)
    out.print(first_trials)
    out.print(f"\ncost: {_format_cost(forecast)}")


def _format_cost(forecast: Forecast) -> str:
    if forecast.seconds is None or forecast.memory_bytes is None:
        return f"not measured: {forecast.unmeasured}"
    at_a_time = f"{forecast.workers} at a time" if forecast.workers > 1 else "one after the other"
    return (
        f"about {format_duration(forecast.seconds)} for {forecast.trials} trials, {at_a_time}, if "
        f"none is pruned, and {forecast.memory_bytes / 2**30:.1f} GiB of memory (measured on two "
        f"epochs of each of the first {min(3, forecast.trials)} trials); starting takes a few "
        "seconds more"
    )


def print_run(result: RunResult, to_stderr: bool = False) -> None:
    """Print the result of a single training."""
    out = create_console(to_stderr)
    out.print(Text(f"run {result.run_id}: {result.state}", style="bold"))
    if result.error is not None:
        out.print(escape_text(result.error))
    if result.model is not None:
        out.print(f"model: {result.model}")
        out.print(f'load:  mlflow.pyfunc.load_model("{result.model}")', soft_wrap=True)
    restored = read_restored_epoch(result.metrics)
    metrics = "metrics" if restored is None else f"metrics of epoch {restored}, which was kept"
    for title, values in (("parameters", result.params), (metrics, result.metrics)):
        out.print(f"\n{title}:")
        table = Table.grid(padding=(0, 2))
        for name, value in values.items():
            table.add_row(
                f"  {escape_line(name)}",
                f"{value:.4g}" if isinstance(value, float) else escape_line(str(value)),
            )
        out.print(table)
    out.print(f"\nruns:  {result.tracking_uri}  (experiment {escape_line(result.experiment)})")


def _format_ending(result: SweepResult, resume_command: str) -> str:
    counts = format_state_counts(result.trials)
    progress = f"{result.done} of {result.wanted} done ({counts})"
    if result.done >= result.wanted:
        if result.exhausted:
            more = "every configuration was tried"
        else:
            more = f"--trials {result.done + result.wanted} adds {result.wanted}"
        return f"{result.study}: {progress}; {more}, --study NAME starts anew"
    if result.status.closing == "finished":
        ending = "every configuration was tried" if result.exhausted else "stopped by the timeout"
    else:
        ending = result.status.closing
    return f"{result.study}: {ending} with {progress}; to resume: {resume_command}"


def _print_models(result: SweepResult, to_stderr: bool) -> None:
    """Print the address of the best model, or of each on the front, and why others are missing."""
    # If MLflow does not have everything yet, the last line of the command says so.
    if result.status.untracked is not None:
        return
    out = create_console(to_stderr)
    stored = [trial.model.address for trial in result.best_trials if trial.model.address]
    if result.best is not None and stored:
        out.print(f"model: {stored[0]}")
    elif stored:
        others = "run" if len(stored) == len(result.best_trials) else "other run"
        out.print(f"models: runs:/RUN/model, for each {others} of the front")
    for trial in result.best_trials:
        if trial.model.missing is not None:
            of_trial = "" if result.best is not None else f" of trial {trial.number}"
            out.print(f"no model{of_trial} in MLflow: {escape_line(trial.model.missing)}")


def _front_table(result: SweepResult) -> Table:
    names = list(dict.fromkeys(name for trial in result.best_trials for name in trial.params))
    metrics = [objective.metric for objective in result.objectives.each]
    table = plain_table("  trial", *metrics, *names, "run")
    for trial in result.best_trials:
        params = (
            format_param(trial.params[name]) if name in trial.params else "" for name in names
        )
        table.add_row(f"  {trial.number}", *map(format_metric, trial.values), *params, trial.run_id)
    return table
