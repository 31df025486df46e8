"""`assay compare`: configurations of studies and runs side by side."""

from __future__ import annotations

import click

from assay.experiments.cli import common, completion
from assay.models.errors import RequestError


@click.command("compare", short_help="Compare finalized studies, or runs, with verdicts.")
@click.argument(
    "names", nargs=-1, required=True, metavar="STUDY|RUN_ID...", shell_complete=completion.studies
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@click.option(
    "--latex", "as_latex", is_flag=True, help="Print the table in LaTeX, for the package booktabs."
)
@common.store_paths
@common.json_output
def command(
    names: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    as_latex: bool,
    **store_paths: str | None,
) -> int:
    """Compare the finalists of each STUDY, and runs in MLflow (RUN_ID, 32 hex digits).

    Verdicts are those of 'assay finalize'. Re-trainings of one configuration are counted as its
    seeds; a trial or a single run is shown without a verdict. What differs in its data, split or
    metric is refused. Writes nothing.

    \b
    Example:
      assay compare digits-mlp digits-wide
      assay compare digits-mlp digits-wide --latex > table.tex
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.console.comparison import print_comparison
    from assay.experiments.decision.comparison import compare_configurations
    from assay.experiments.decision.comparison_table import to_csv, to_latex
    from assay.experiments.workspace import StorePaths

    formats = {"--json": as_json, "--csv": as_csv, "--latex": as_latex}
    asked = [name for name, is_asked in formats.items() if is_asked]
    if len(asked) > 1:
        raise RequestError(
            f"standard output has one format: received {' and '.join(asked)}; give one of them."
        )
    chosen = StorePaths.choose(**store_paths)
    common.warn_if_moved(chosen.workspace)
    comparison = compare_configurations(names, chosen)
    print_comparison(comparison, to_stderr=bool(asked))
    if as_json:
        click.echo(common.as_json(comparison.to_record()))
    elif as_csv:
        click.echo(to_csv(comparison), nl=False)
    elif as_latex:
        click.echo(to_latex(comparison))
    return 0
