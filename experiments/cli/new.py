"""`assay new`: an experiment of one's own to start from."""

from __future__ import annotations

import json
import shlex

import click

from assay.experiments.cli import completion, options


@click.command("new", short_help="Write a commented experiment to start from.")
@click.argument("name")
@click.option("--data", default="digits", help="A data set, as [data] names it.  [digits]")
@click.option(
    "--model",
    default="mlp",
    shell_complete=completion.families,
    help="A family, or a function of your own as nets.py:build.  [mlp]",
)
@options.store_paths
@options.json_output
def command(name: str, data: str, model: str, as_json: bool, **store_paths: str | None) -> int:
    """Write NAME.toml, an experiment that can be swept as it is; NAME may lead to another folder.

    Paths in --data and --model are relative to the folder of the new file. Nothing is ever
    overwritten.

    \b
    Example:
      assay new mine --data mnist --model cnn
    """
    # Here, so that --help need not import what experiments are made of.
    from assay.experiments.config.template import create
    from assay.experiments.workspace import StorePaths

    made = create(name, data, model, StorePaths.choose(**store_paths).data_dir)
    file = str(made.file) if made.file.is_absolute() else f"./{made.file}"
    sweep = shlex.join(
        [options.program(), "sweep", file, *options.given(store_paths, "home", "data_dir")]
    )
    if as_json:
        network = None if made.network is None else str(made.network)
        click.echo(json.dumps({"file": str(made.file), "network": network, "next": sweep}))
        return 0
    click.echo(f"wrote {made.file}" + ("" if made.network is None else f" and {made.network}"))
    click.echo(f"sweep: {sweep}")
    return 0
