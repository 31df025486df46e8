"""`assay finalize`: train the best configurations again, and open the test set once."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING, Any

import click

from assay.experiments.cli import common, completion
from assay.experiments.config.options import FinalizeOptions
from assay.experiments.terminal_text import to_single_line

if TYPE_CHECKING:
    from assay.experiments.decision.finalize import FinalizeResult
    from assay.experiments.workspace import StorePaths


@click.command(
    "finalize", short_help="Train the best again on fresh seeds, and open the test set once."
)
@click.argument("study", shell_complete=completion.studies)
@common.add_options(FinalizeOptions)
@common.json_output
def command(study: str, as_json: bool, **given: Any) -> int:
    """Train the best configurations of STUDY and its baselines again, and compare them.

    Each is trained on several fresh seeds. Validation chooses the leader; then the test set is
    opened, once, and the others are compared with the leader on it. At its end it writes the
    study's report. The same command, given again after an interruption, goes on; after it has
    ended, it opens the test set another time.

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
    from assay.experiments.decision.registration import format_registration

    request, store_paths = read_finalize(given, common.flag)
    request = dataclasses.replace(request, command=common.given_command())
    result = finalize(study, request, store_paths, choose_display(as_json))
    page = None
    # None: the option was not given.
    if result.evaluation.is_judged and given["report"] is not False:
        page = _write_report(study, store_paths)
    print_evaluation(
        result.study,
        result.evaluation,
        _next_commands(result, given) | ({} if page is None else {"report": page}),
        as_json,
        format_registration(result.registered, result.evaluation),
    )
    if as_json:
        click.echo(common.as_json({**result.to_record(), "report": page}))
    return common.report_failure(result.status.exit_code, result.status.failure)


def _write_report(study: str, store_paths: StorePaths) -> str | None:
    """Return the path of the report's page; None if it could not be written."""
    from assay.experiments.report.write import report_finalized  # here for the same reason

    written, warning = report_finalized(study, store_paths)
    if warning is not None:
        click.echo(to_single_line(f"warning: {warning}"), err=True)
    return None if written is None else str(written.page)


def _next_commands(result: FinalizeResult, given: dict[str, Any]) -> dict[str, str]:
    """Return what can be done after a finalize that came to its end."""
    if not result.evaluation.is_judged:
        return {}
    stores = common.explicit_options(given, "home", "tracking_uri")
    look = [common.program(), "ui", result.study, *stores]
    leader = result.evaluation.leader_runs(result.runs)
    return {"look": shlex.join(look), **common.leader_commands(leader, stores)}
