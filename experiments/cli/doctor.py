"""`assay doctor`: do Optuna and MLflow agree on every trial?"""

from __future__ import annotations

import click

from experiments.cli import options


@click.command("doctor", short_help="Compare Optuna and MLflow on every trial; with --fix, mend what differs.")
@click.option("--fix", is_flag=True, help="Mend what does not agree.")
@options.places
@options.json_output
def command(fix: bool, as_json: bool, **places: str | None) -> int:
    """Compare what Optuna, MLflow and the journals say of every trial of this home's studies.

    State, value and parameters count as Optuna has them, curves as the journal has them. Exits with 1 if anything
    differs, or still does after --fix. Studies that are being searched are left alone.

    \b
    Example:
      assay doctor
      assay doctor --fix
    """
    # Here, so that --help need not import the stores.
    from experiments.doctor import diagnose
    from experiments.places import Places
    from experiments.words import visible

    found = diagnose(Places.choose(**places), fix)
    for study, why in found.busy.items():
        click.echo(visible(f"{study}: not looked at: {why}"), err=True)
    for title, several in (("mended", found.mended), ("differs", found.differences)):
        for difference in several:
            click.echo(visible(f"{title}: {difference}"), err=as_json)
    agree = f"{found.trials} trials of {found.studies} studies: "
    if found.differences:
        again = "" if fix else "; assay doctor --fix mends what can be"
        click.echo(f"{agree}{len(found.differences)} differences{again}", err=as_json)
    else:
        click.echo(f"{agree}Optuna, MLflow and the journals agree", err=as_json)
    if as_json:
        click.echo(options.as_json(found.to_record()))
    return int(bool(found.differences))
