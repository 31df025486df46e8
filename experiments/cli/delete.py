"""`assay delete`: deletes a study from all stores."""

from __future__ import annotations

import shlex
import sys

import click

from assay.experiments.cli import common, completion
from assay.experiments.formatting import format_count
from assay.experiments.terminal_text import to_single_line
from assay.models.errors import RequestError


@click.command("delete", short_help="Delete a study from Optuna, MLflow and home.")
@click.argument("study", shell_complete=completion.studies)
@click.option("--yes", is_flag=True, help="Delete without confirmation.")
@common.store_paths
@common.json_output
def command(study: str, yes: bool, as_json: bool, **store_paths: str | None) -> int:
    """Delete STUDY: its runs in MLflow, its trials in Optuna, its journal and model in home.

    Asks for confirmation. The models that finalize registered go too, and MLflow's registered model
    with them if it has no others. MLflow hides deleted runs and keeps them on disk until `mlflow
    gc`; everything else is removed for good. If the command is interrupted, run it again to delete
    the rest.

    \b
    Example:
      assay delete digits-mlp
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.maintenance.delete import delete_study, locked_study
    from assay.experiments.tracking.lookup import format_gc_command
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    with locked_study(study, chosen) as stored:
        trials, runs = format_count(stored.trials, "trial"), format_count(len(stored.runs), "run")
        summary = f"study {study!r}: {trials}, {runs} in MLflow"
        if stored.versions:
            versions = format_count(stored.versions, "version")
            summary = f"{summary}, {versions} in its model registry"
        if not yes and not _confirm_deletion(summary):
            click.echo("nothing was deleted", err=True)
            return 1
        left = delete_study(stored, chosen)
    for reason in left:
        click.echo(to_single_line(f"left: {reason}"), err=True)
    if as_json:
        record = {
            **{"study": study, "trials": stored.trials, "runs": len(stored.runs)},
            "model_versions": stored.versions,
            **({"left": left} if left else {}),
        }
        click.echo(common.as_json(record))
        return 0
    click.echo(f"deleted {summary}")
    if stored.runs:
        click.echo(f"to free the disk space of the runs: {format_gc_command(chosen)}")
    return 0


def _confirm_deletion(summary: str) -> bool:
    if not sys.stdin.isatty():
        confirmed = shlex.join([common.program(), *sys.argv[1:], "--yes"])
        raise RequestError(
            f"deleting takes a confirmation, and standard input is no terminal; "
            f"would delete {summary}: to confirm, run {confirmed}"
        )
    return click.confirm(f"delete {summary}?", err=True)
