"""`assay finalize`: train the best configurations again, and open the test set once."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from assay.experiments.cli import common, completion
from assay.experiments.config.options import FinalizeOptions


@click.command(
    "finalize", short_help="Train the best again on fresh seeds, and open the test set once."
)
@click.argument("study", shell_complete=completion.studies)
@common.add_options(FinalizeOptions)
@common.json_output
def command(study: str, as_json: bool, **given: Any) -> int:
    """Train the best configurations of STUDY and its baselines again, and compare them.

    Each is trained on several fresh seeds. Validation chooses the leader; then the test set is
    opened, once, and the others are compared with the leader on it. The same command, given again
    after an interruption, goes on; after it has ended, it opens the test set another time.

    \b
    Example:
      assay finalize digits-mlp
      assay finalize mine --top 2 --seeds 10 --gap 0.5
    """
    # Here, so that --help need not import what a training needs.
    from assay.experiments.config.request import read_finalize
    from assay.experiments.console.choose import choose_display
    from assay.experiments.console.finalists import print_evaluation
    from assay.experiments.decision.finalize import finalize

    request, store_paths = read_finalize(given, common.flag)
    request = dataclasses.replace(request, command=common.given_command())
    result = finalize(study, request, store_paths, choose_display(as_json))
    print_evaluation(result.study, result.evaluation, to_stderr=as_json)
    if as_json:
        click.echo(common.as_json(result.to_record()))
    return common.report_failure(result.status.exit_code, result.status.failure)
