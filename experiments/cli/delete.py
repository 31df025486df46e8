"""`assay delete`: a study, from both stores."""

from __future__ import annotations

import shlex
import sys

import click

from assay.experiments.cli import completion, options
from assay.models.errors import RequestError


@click.command("delete", short_help="Delete a study from Optuna, MLflow and home, after asking.")
@click.argument("study", shell_complete=completion.studies)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@options.store_paths
@options.json_output
def command(study: str, yes: bool, as_json: bool, **store_paths: str | None) -> int:
    """Delete STUDY: its runs in MLflow, its trials in Optuna, its journal and its model in home.

    Asks first. MLflow hides deleted runs and keeps them on the disk until `mlflow gc`; the rest is
    gone for good. If it is stopped in the middle, the same command deletes the rest.

    \b
    Example:
      assay delete digits-mlp
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.maintenance.delete import delete, held
    from assay.experiments.tracking.lookup import freeing
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    with held(study, chosen) as remains:
        going = f"study {study!r}: {_counted(remains.trials, 'trial')}, {_counted(len(remains.runs), 'run')} in MLflow"
        if not yes and not _confirmed(going):
            click.echo("nothing was deleted", err=True)
            return 1
        delete(remains, chosen)
    if as_json:
        click.echo(
            options.as_json({"study": study, "trials": remains.trials, "runs": len(remains.runs)})
        )
        return 0
    click.echo(f"deleted {going}")
    if remains.runs:
        click.echo(f"what the runs take on the disk is freed by: {freeing(chosen)}")
    return 0


def _confirmed(going: str) -> bool:
    if not sys.stdin.isatty():
        again = shlex.join([options.program(), *sys.argv[1:], "--yes"])
        raise RequestError(f"would delete {going}; with nobody to ask it must be told: {again}")
    return click.confirm(f"delete {going}?", err=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
