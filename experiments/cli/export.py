"""`assay export`: the network of a study as a file."""

from __future__ import annotations

from pathlib import Path

import click

from assay.experiments.cli import common, completion


@click.command("export", short_help="Write a study's network to a file, and how to use it.")
@click.argument("study", shell_complete=completion.studies)
@click.option(
    "--to",
    metavar="FORMAT",
    required=True,
    shell_complete=completion.formats,
    help="Format: keras, onnx, or savedmodel (TensorFlow).",
)
@click.option(
    "--out",
    metavar="FILE",
    help="File to write; for savedmodel a folder.  [the study's name, here]",
)
@click.option("--trial", type=int, help="Export the model of this trial.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--run-code",
    is_flag=True,
    help="Run the code of your own that is kept with the model, if it has any.",
)
@common.store_paths
@common.json_output
def command(
    study: str,
    to: str,
    out: str | None,
    trial: int | None,
    force: bool,
    run_code: bool,
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Write the network of STUDY to a file: of the leader of its last finalize, or the best trial.

    The network takes raw inputs and gives probabilities, or values: scaling and softmax are in it.
    Beside FILE, FILE.py loads it and classifies the example in FILE.npy.

    \b
    Example:
      assay export digits-mlp --to onnx
      assay export digits-mlp --to keras --out /tmp/digits.keras
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.export.export import ExportRequest, check_format, export
    from assay.experiments.terminal_text import escape_line
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    common.warn_if_moved(chosen.workspace)
    path = None if out is None else Path(out)
    request = ExportRequest(study, check_format(to), path, trial, force, run_code)
    result = export(request, chosen)
    click.echo(escape_line(f"exported {result.origin} ({result.model})"), err=as_json)
    click.echo(escape_line(f"  {result.to}: {result.file}"), err=as_json)
    click.echo(escape_line(f"  use:  python {result.program}"), err=as_json)
    if as_json:
        click.echo(common.as_json(result.to_record()))
    return 0
