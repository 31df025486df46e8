"""`assay run`: one training."""

from __future__ import annotations

from typing import Any

import click

from assay.experiments.cli import common, completion
from assay.experiments.config.options import RunOptions


@click.command("run", short_help="Train once, and track it.")
@click.argument("experiment", shell_complete=completion.experiments)
@common.add_options(RunOptions)
@common.json_output
def command(experiment: str, as_json: bool, **given: Any) -> int:
    """Train EXPERIMENT once: its first baseline, or the defaults of its model, changed by --set.

    \b
    Example:
      assay run mnist-mlp --set hidden_units=256 --set activation=relu
    """
    # Here, so that --help need not import what a training needs.
    from assay.experiments.config.request import read_run
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_run
    from assay.experiments.run.single import run

    chosen, request, store_paths = read_run(experiment, given, common.flag)
    result = run(chosen, request, store_paths, choose_display(as_json))
    print_run(result, to_stderr=as_json)
    if as_json:
        click.echo(common.as_json(result.to_record()))
    return common.report_failure(result.status.exit_code, result.status.failure)
