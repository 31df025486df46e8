"""`assay new`: a custom experiment to start from."""

from __future__ import annotations

import json
import shlex

import click

from assay.experiments.cli import common, completion


@click.command("new", short_help="Write a commented experiment to start from.")
@click.argument("name")
@click.option("--data", default="digits", help="Data set, as in [data].  [digits]")
@click.option(
    "--model",
    default="mlp",
    shell_complete=completion.families,
    help="Model family, or a custom function such as nets.py:build.  [mlp]",
)
@common.store_paths
@common.json_output
def command(name: str, data: str, model: str, as_json: bool, **store_paths: str | None) -> int:
    """Write NAME.toml, a complete experiment; NAME may be a path.

    Paths in --data and --model are relative to the folder of the new file. Existing files are never
    overwritten.

    \b
    Example:
      assay new mine --data mnist --model cnn
    """
    # Here, so that --help need not import what experiments are made of.
    from assay.experiments.config.template import create_experiment
    from assay.experiments.workspace import StorePaths

    created = create_experiment(name, data, model, StorePaths.choose(**store_paths).data_dir)
    # A name without a slash would be looked up in the catalogue.
    file = str(created.file) if created.file.is_absolute() else f"./{created.file}"
    sweep = shlex.join(
        [
            common.program(),
            "sweep",
            file,
            *common.explicit_options(store_paths, "home", "data_dir"),
        ]
    )
    if as_json:
        network = None if created.network is None else str(created.network)
        click.echo(json.dumps({"file": str(created.file), "network": network, "next": sweep}))
        return 0
    files = (
        str(created.file) if created.network is None else f"{created.file} and {created.network}"
    )
    click.echo(f"wrote {files}")
    click.echo(f"sweep: {sweep}")
    return 0
