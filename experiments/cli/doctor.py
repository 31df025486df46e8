"""`assay doctor`: compares the stores, and repairs them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from assay.experiments.cli import common
from assay.experiments.formatting import format_count
from assay.experiments.terminal_text import escape_text

if TYPE_CHECKING:
    from assay.experiments.maintenance.compare import Difference
    from assay.experiments.maintenance.doctor import Diagnosis


@click.command("doctor", short_help="Compare Optuna and MLflow on every trial; --fix repairs.")
@click.option("--fix", is_flag=True, help="Repair what differs.")
@common.store_paths
@common.json_output
def command(fix: bool, as_json: bool, **store_paths: str | None) -> int:
    """Compare Optuna, MLflow and the journals on every trial of this home's studies.

    Optuna decides on states, values and parameters, the journal on curves. Exits with 1 if anything
    differs, or still differs after --fix. Studies of running sweeps are skipped.

    \b
    Example:
      assay doctor
      assay doctor --fix
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.maintenance.doctor import diagnose
    from assay.experiments.workspace import StorePaths

    diagnosis = diagnose(StorePaths.choose(**store_paths), fix)
    for study, reason in diagnosis.busy.items():
        click.echo(escape_text(f"{study}: skipped: {reason}"), err=True)
    for line in _difference_lines(diagnosis):
        click.echo(escape_text(line), err=as_json)
    click.echo(_summary_line(diagnosis, fix), err=as_json)
    if as_json:
        click.echo(common.as_json(diagnosis.to_record()))
    return int(bool(diagnosis.differences))


def _difference_lines(diagnosis: Diagnosis) -> list[str]:
    """Return one line per trial or study."""
    lines = []
    for title, differences in (
        ("repaired", diagnosis.repaired),
        ("differs", diagnosis.differences),
    ):
        for _, group in itertools.groupby(differences, lambda found: (found.study, found.trial)):
            lines.append(f"{title}: {_group_line(list(group), title == 'repaired')}")
    return lines


def _group_line(differences: Sequence[Difference], is_repaired: bool) -> str:
    first, *others = differences
    replaced = (
        "; the run was replaced by a new one" if is_repaired and first.wrong_run is not None else ""
    )
    more = (
        f", and {format_count(len(others), 'difference')} more that --json lists" if others else ""
    )
    return f"{first}{replaced}{more}"


def _summary_line(diagnosis: Diagnosis, fix: bool) -> str:
    trials = format_count(diagnosis.trials, "trial")
    compared = f"{trials} of {format_count(diagnosis.studies, 'study', 'studies')}"
    if diagnosis.differences:
        hint = "" if fix else "; run 'assay doctor --fix' to repair them"
        return f"{compared}: {format_count(len(diagnosis.differences), 'difference')}{hint}"
    if diagnosis.studies == 0:
        return "no study was compared"
    return f"{compared}: Optuna, MLflow and the journals agree"
