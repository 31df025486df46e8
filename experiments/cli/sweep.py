"""`assay sweep`: search the space of an experiment."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from assay.experiments.cli import common, completion
from assay.experiments.config.options import SweepOptions

if TYPE_CHECKING:
    from assay.experiments.run.result import SweepResult
    from assay.experiments.workspace import StorePaths


@click.command("sweep", short_help="Search an experiment's space, and track every trial.")
@click.argument("experiment", shell_complete=completion.experiments)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what a sweep of a new study would do and take; write nothing.",
)
@common.add_options(SweepOptions)
@common.json_output
def command(experiment: str, dry_run: bool, as_json: bool, **given: Any) -> int:
    """Search the space of EXPERIMENT, a name of the catalogue or the path of a TOML file.

    The same command, given again, resumes the study where it stopped.

    \b
    Example:
      assay sweep mnist-mlp --trials 50 --workers 2
      assay sweep ./mine.toml --set optimizer=momentum --timeout 10m
      assay sweep ./mine.toml --dry-run
      assay sweep mnist-cnn --device gpu:0 --workers 2 --precision mixed_bfloat16
    """
    # Here, so that --help need not import what a sweep needs.
    from assay.experiments.config.request import read_sweep
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_dry_run, print_summary
    from assay.experiments.run.dry_run import dry_run as run_dry
    from assay.experiments.run.sweep import sweep

    chosen, request, store_paths = read_sweep(experiment, given, common.flag)
    request = dataclasses.replace(request, command=common.given_command())
    display = choose_display(as_json)
    if dry_run:
        forecast = run_dry(chosen, request, store_paths, display)
        print_dry_run(forecast, to_stderr=as_json)
        record, exit_code, failure = forecast.to_record(), 0, None
    else:
        result = sweep(chosen, request, store_paths, display)
        commands = _next_commands(result, given, _is_finalized(result, store_paths))
        print_summary(result, *commands, to_stderr=as_json)
        record = result.to_record()
        exit_code, failure = result.status.exit_code, result.status.failure
    if as_json:
        click.echo(common.as_json(record))
    return common.report_failure(exit_code, failure)


def _is_finalized(result: SweepResult, store_paths: StorePaths) -> bool:
    """Return whether a finalize of the study has verdicts, and has trained the best trial."""
    # Here for the same reason.
    from assay.experiments.decision.load import load_finalizes
    from assay.models.errors import RequestError

    if not store_paths.workspace.finalize_journal(result.study).exists():
        return False
    try:
        finalized, _ = load_finalizes(result.study, store_paths)
    except RequestError:
        return True  # a damaged journal of its finalizes; `show` says so
    if finalized is None:
        return False
    return result.best is None or finalized.has_trained(result.best.number)


def _next_commands(
    result: SweepResult, given: dict[str, Any], is_finalized: bool
) -> tuple[str, dict[str, str]]:
    """Return the command that resumes the study, and what can be done with it."""
    resume = [common.program(), *sys.argv[1:]]
    stores = common.explicit_options(given, "home", "tracking_uri")
    look = [common.program(), "ui", result.study, *stores]
    stores = common.explicit_options(given, "home", "storage", "tracking_uri")
    decide = [common.program(), "finalize", result.study, *stores]
    # What is not done yet is searched first.
    is_done = result.done >= result.wanted and result.trials["complete"] > 0
    if is_finalized:  # another finalize would open the test set once more
        decide[1] = "show"
    decision = {"decide": shlex.join(decide)} if is_done else {}
    return shlex.join(resume), {"look": shlex.join(look), **decision}
