"""`assay doctor`: do Optuna and MLflow agree on every trial?"""

from __future__ import annotations

import itertools

import click

from assay.experiments.cli import options


@click.command(
    "doctor", short_help="Compare Optuna and MLflow on every trial; with --fix, mend what differs."
)
@click.option("--fix", is_flag=True, help="Mend what does not agree.")
@options.store_paths
@options.json_output
def command(fix: bool, as_json: bool, **store_paths: str | None) -> int:
    """Compare what Optuna, MLflow and the journals say of every trial of this home's studies.

    State, value and parameters count as Optuna has them, curves as the journal has them. Exits with
    1 if anything differs, or still does after --fix. Studies that are being searched are left
    alone.

    \b
    Example:
      assay doctor
      assay doctor --fix
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.maintenance.doctor import diagnose
    from assay.experiments.terminal_text import visible
    from assay.experiments.workspace import StorePaths

    found = diagnose(StorePaths.choose(**store_paths), fix)
    for study, why in found.busy.items():
        click.echo(visible(f"{study}: not looked at: {why}"), err=True)
    for title, several in (("mended", found.mended), ("differs", found.differences)):
        for _, group in itertools.groupby(several, lambda one: (one.study, one.trial)):
            first, *others = group
            anew = (
                "; written anew, the old run is deleted"
                if title == "mended" and first.run_id
                else ""
            )
            more = (
                f", and {_counted(len(others), 'thing')} more that --json lists" if others else ""
            )
            click.echo(visible(f"{title}: {first}{anew}{more}"), err=as_json)
    looked_at = (
        f"{_counted(found.trials, 'trial')} of {_counted(found.studies, 'study', 'studies')}"
    )
    if found.differences:
        again = (
            ""
            if fix
            else "; assay doctor --fix mends them; what a killed sweep has left, the same sweep settles too"
        )
        said = f"{looked_at}: {_counted(len(found.differences), 'difference')}{again}"
    elif found.studies == 0:
        said = "no study was looked at"
    else:
        said = f"{looked_at}: Optuna, MLflow and the journals agree"
    click.echo(said, err=as_json)
    if as_json:
        click.echo(options.as_json(found.to_record()))
    return int(bool(found.differences))


def _counted(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
