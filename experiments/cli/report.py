"""`assay report`: one page about a study, or about several."""

from __future__ import annotations

import click

from assay.experiments.cli import common, completion
from assay.experiments.terminal_text import to_single_line
from assay.models.errors import RequestError


@click.command("report", short_help="Write a report: one page about a study, or several.")
@click.argument("studies", nargs=-1, metavar="STUDY...", shell_complete=completion.studies)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Folder to write it to.  [reports/STUDY in home, or DIR of --from]",
)
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Draw the report in this folder again, from its records alone.",
)
@common.store_paths
@common.json_output
def command(
    studies: tuple[str, ...],
    out: str | None,
    source: str | None,
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Write a report about each STUDY: a page that needs no network, and a twin in Markdown.

    Beside them are the records that both are drawn from, with a manifest of digests. The report of
    one study is logged to its run in MLflow too. Trains nothing, opens no test set, and works while
    a sweep runs.

    \b
    Example:
      assay report digits-mlp
      assay report mnist-mlp mnist-cnn --out benchmark
      assay report --from benchmark
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.report.write import make_report, rebuild_report
    from assay.experiments.workspace import StorePaths

    if bool(studies) == (source is not None):
        received = "both" if studies else "neither"
        raise RequestError(
            f"report takes names of studies, or --from DIR: received {received}; give one of them."
        )
    if source is not None:
        result = rebuild_report(source, out)
    else:
        chosen = StorePaths.choose(**store_paths)
        common.warn_if_moved(chosen.workspace)
        result = make_report(studies, chosen, out)
    if result.warning is not None:
        click.echo(to_single_line(f"warning: {result.warning}"), err=True)
    click.echo(common.as_json(result.to_record()) if as_json else str(result.page))
    return 0
