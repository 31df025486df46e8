"""`assay sweep`: the main job."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from assay.experiments.cli import completion, options

if TYPE_CHECKING:
    from assay.experiments.config.experiment import Experiment
    from assay.experiments.config.request import SweepRequest
    from assay.experiments.workspace import StorePaths


@click.command("sweep", short_help="Search an experiment's space, every trial in MLflow.")
@click.argument("experiment", shell_complete=completion.experiments)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="Complete or pruned trials that make the study done.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of a trial.")
@click.option(
    "--timeout",
    callback=options.read_seconds,
    help="Start no trial after this time: 90s, 10m, 1h30m.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Trials at a time.  [one a card, or one a core]"
)
@click.option(
    "--sampler",
    shell_complete=completion.samplers,
    help="What is tried next; 'assay list samplers' names them.  [the file's]",
)
@click.option(
    "--pruner",
    shell_complete=completion.pruners,
    help="What is stopped early; 'assay list pruners' names them.  [the file's]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Where every seed follows from.  [the study's, or 0]"
)
@click.option(
    "--study", shell_complete=completion.studies, help="Name of the study.  [the experiment's]"
)
@click.option("--enqueue", metavar="FILE.json", help="A list of configurations to try first.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what would be tried, and what it would take; write nothing.",
)
@click.option(
    "--fuse",
    metavar="auto|off|K",
    help="Trials of one signature that a worker trains together, on JAX.  [auto: where it is faster]",
)
@click.option(
    "--checkpoint",
    is_flag=True,
    help="Keep trials after each epoch: an interrupted one goes on from there.",
)
@options.values
@options.execution
@options.failure_policy
@options.store_paths
@options.json_output
def command(
    experiment: str,
    trials: int | None,
    epochs: int | None,
    timeout: float | None,
    workers: int | None,
    sampler: str | None,
    pruner: str | None,
    seed: int | None,
    study: str | None,
    enqueue: str | None,
    dry_run: bool,
    fuse: str | None,
    checkpoint: bool,
    values: Mapping[str, Any],
    execution: Mapping[str, Any],
    failure_policy: Mapping[str, Any],
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Search the space of EXPERIMENT, a name of the catalogue or the path of a TOML file.

    Asked again, the same command goes on where it stopped.

    \b
    Example:
      assay sweep mnist-mlp --trials 50 --workers 2
      assay sweep ./mine.toml --set optimizer=momentum --timeout 10m
      assay sweep ./mine.toml --dry-run
      assay sweep mnist-cnn --device gpu:0 --workers 2 --precision mixed_bfloat16
    """
    # Here, so that --help need not import what a sweep needs.
    from assay.experiments.config.request import load_experiment, parse_sweep_request
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_summary
    from assay.experiments.run.sweep import sweep
    from assay.experiments.workspace import StorePaths

    asked = load_experiment(experiment, values, epochs).searching(
        trials=trials, sampler=sampler, pruner=pruner
    )
    request = parse_sweep_request(
        asked,
        study=study,
        workers=workers,
        seed=seed,
        execution=execution,
        timeout=timeout,
        failure_policy=failure_policy,
        enqueue=enqueue,
        fuse=fuse,
        checkpoint=checkpoint,
    )
    if dry_run:
        return _foretell(asked, request, StorePaths.choose(**store_paths), as_json)
    result = sweep(asked, request, StorePaths.choose(**store_paths), choose_display(as_json))
    again = shlex.join([options.program(), *sys.argv[1:]])
    look = shlex.join(
        [options.program(), "ui", result.study, *options.given(store_paths, "home", "tracking_uri")]
    )
    print_summary(result, again, look, to_stderr=as_json)
    if as_json:
        click.echo(options.as_json(result.to_record()))
    return options.told(result.exit_code, result.failure)


def _foretell(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths, as_json: bool
) -> int:
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.summary import print_forecast
    from assay.experiments.run.dry_run import forecast

    told = forecast(experiment, request, store_paths, choose_display(as_json))
    print_forecast(told, to_stderr=as_json)
    if as_json:
        click.echo(options.as_json(told.to_record()))
    return 0
