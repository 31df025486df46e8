"""`assay ui`: the MLflow UI, opened where it is wanted."""

from __future__ import annotations

import click

from assay.experiments.cli import completion, options


@click.command("ui", short_help="Open the MLflow UI, at a study's best trials if one is named.")
@click.argument("study", required=False, shell_complete=completion.studies)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    help="Port on 127.0.0.1, or the next free.  [5000]",
)
@click.option("--no-open", is_flag=True, help="Print the address and leave the browser alone.")
@options.store_paths
def command(study: str | None, port: int, no_open: bool, **store_paths: str | None) -> int:
    """Serve the MLflow UI on this machine until Ctrl-C, and open it.

    With STUDY, opened at the comparison of the study's 20 best trials.

    \b
    Example:
      assay ui digits-mlp --no-open
    """
    # Here, so that --help need not import MLflow.
    from assay.experiments.tracking.ui import comparison, serve
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    page = "" if study is None else comparison(chosen, study)
    return serve(chosen, page, port, opening=not no_open)
