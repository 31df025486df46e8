"""`assay run`: one training."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from assay.experiments.cli import common, completion
from assay.experiments.config.options import RunOptions


@click.command("run", short_help="Train once, and track it.")
@click.argument("experiment", required=False, shell_complete=completion.experiments)
@common.add_options(RunOptions)
@common.json_output
def command(experiment: str | None, as_json: bool, **given: Any) -> int:
    """Train EXPERIMENT once: its first baseline, or the defaults of its model, changed by --set.

    With --like, train the configuration of a recorded run, with all that is not given as recorded.

    \b
    Example:
      assay run mnist-mlp --set hidden_units=256 --set activation=relu
      assay run --like RUN_ID --set learning_rate=0.01
      assay run --like RUN_ID --seed 1
    """
    # Here, so that --help need not import what a training needs.
    from assay.experiments.config.request import read_run
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_run
    from assay.experiments.run.repeat import check_one_source, read_like
    from assay.experiments.run.single import run

    like = given["like"]
    check_one_source(experiment, like)
    chosen, request, store_paths = (
        read_run(experiment, given, common.flag)
        if experiment is not None
        else read_like(like, given, common.flag)
    )
    request = dataclasses.replace(request, command=common.given_command())
    result = run(chosen, request, store_paths, choose_display(as_json))
    print_run(result, to_stderr=as_json)
    if as_json:
        click.echo(common.as_json(result.to_record()))
    return common.report_failure(result.status.exit_code, result.status.failure)
