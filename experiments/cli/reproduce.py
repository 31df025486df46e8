"""`assay reproduce`: train a recorded run again."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from assay.experiments.cli import common
from assay.experiments.config.options import ReproduceOptions


@click.command("reproduce", short_help="Train a recorded run again, and compare.")
@click.argument("run_id", metavar="RUN_ID")
@common.add_options(ReproduceOptions)
@common.json_output
def command(run_id: str, as_json: bool, **given: Any) -> int:
    """Train the run with RUN_ID in MLflow again: a trial, or a single run (32 hex digits).

    First it lists what differs now. Then it trains with the recorded configuration, seeds, threads
    and device, and prints each metric beside the recorded one. It exits with 0 within the
    tolerance, else with 1.

    \b
    Example:
      assay reproduce 0123456789abcdef0123456789abcdef
      assay reproduce 0123456789abcdef0123456789abcdef --deterministic --tolerance 0
    """
    # Here, so that --help need not import what a training needs.
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.reproduction import print_reproduction
    from assay.experiments.run.repeat import read_reproduce, reproduce

    request, store_paths = read_reproduce(run_id, given, common.flag)
    run = dataclasses.replace(request.run, command=common.given_command())
    result = reproduce(dataclasses.replace(request, run=run), store_paths, choose_display(as_json))
    print_reproduction(result, to_stderr=as_json)
    if as_json:
        click.echo(common.as_json(result.to_record()))
    return common.report_failure(result.exit_code, result.failure)
