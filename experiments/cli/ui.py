"""`assay ui`: the MLflow UI, at a study's best trials."""

from __future__ import annotations

import click

from assay.experiments.cli import common, completion


@click.command("ui", short_help="Open the MLflow UI, or in it the best trials of a study.")
@click.argument("study", required=False, shell_complete=completion.studies)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    help="Port on 127.0.0.1; the next free one if it is taken.  [5000]",
)
@click.option("--no-open", is_flag=True, help="Print the address, but open no browser.")
@common.store_paths
def command(study: str | None, port: int, no_open: bool, **store_paths: str | None) -> int:
    """Serve the MLflow UI on this machine until Ctrl-C, and open it in the browser.

    With STUDY, it opens at the study's 20 best complete trials: a list beside parallel coordinates
    of the objective and all searched hyperparameters.

    \b
    Example:
      assay ui digits-mlp --no-open
    """
    # Here, so that --help need not import MLflow.
    from assay.experiments.tracking.ui import serve_ui, study_page
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    page = "" if study is None else study_page(chosen, study)
    return serve_ui(chosen, page, port, opens_browser=not no_open)
