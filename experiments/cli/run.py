"""`assay run`: the recipe once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from assay.experiments.cli import completion, options


@click.command("run", short_help="Train once, tracked: the recipe as it stands.")
@click.argument("experiment", shell_complete=completion.experiments)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs to train.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Where the training's seed follows from.  [0]",
)
@options.trial_timeout
@options.values
@options.execution
@options.store_paths
@options.json_output
def command(
    experiment: str,
    epochs: int | None,
    seed: int,
    trial_timeout: float | None,
    values: Mapping[str, Any],
    execution: Mapping[str, Any],
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Train EXPERIMENT once: its first baseline, or its model's defaults, changed by --set.

    \b
    Example:
      assay run mnist-mlp --set hidden_units=256 --set activation=relu
    """
    # Here, so that --help need not import what a training needs.
    from assay.experiments.config.request import load_experiment, parse_execution_request
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_run
    from assay.experiments.run.single import run
    from assay.experiments.workspace import StorePaths

    asked = load_experiment(experiment, values, epochs)
    display = choose_display(as_json)
    result = run(
        asked,
        seed,
        parse_execution_request(execution),
        StorePaths.choose(**store_paths),
        display,
        trial_timeout,
    )
    print_run(result, to_stderr=as_json)
    if as_json:
        click.echo(options.as_json(result.to_record()))
    return options.told(result.exit_code, result.failure)
