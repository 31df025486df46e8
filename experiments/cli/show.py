"""`assay show`: a study, a trial or a run, looked at without a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from assay.experiments.cli import completion, options

if TYPE_CHECKING:
    from assay.experiments.results.trial import TrialResult
    from assay.experiments.workspace import StorePaths

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@click.command("show", short_help="Show a study's trials, one trial, or a run.")
@click.argument("name", metavar="STUDY|RUN_ID", shell_complete=completion.studies)
@click.option("--trial", type=int, help="Show this trial of the study.")
@click.option(
    "--importance", help="How what mattered is told: ped-anova, fanova or mdi.  [the experiment's]"
)
@click.option(
    "--sort", metavar="METRIC", help="Sort by an objective, a cost or trial.  [the best first]"
)
@click.option("--all", "every", is_flag=True, help="Show all trials or epochs, not only 30.")
@options.store_paths
@options.json_output
def command(
    name: str,
    trial: int | None,
    importance: str | None,
    sort: str | None,
    every: bool,
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Show STUDY with its trials, one of them, or the training that MLflow has under RUN_ID (32 hex
    digits).

    Nothing is written; a sweep may be at work on the study.

    \b
    Example:
      assay show digits-mlp
      assay show digits-mlp --trial 3
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.results.trial import trial_of_run
    from assay.experiments.workspace import StorePaths, journal_names
    from assay.models.errors import RequestError

    chosen = StorePaths.choose(**store_paths)
    if _RUN_ID.fullmatch(name) and name not in journal_names(chosen.workspace):
        found = trial_of_run(name, chosen)
        if not isinstance(found, str):
            if trial is not None:
                raise RequestError(f"--trial is for a study; {name} is a run: leave --trial out.")
            return _answer(found, every, as_json)
        name = found
    return _study(name, trial, importance, sort, every, as_json, chosen)


def _study(
    name: str,
    trial: int | None,
    importance: str | None,
    sort: str | None,
    every: bool,
    as_json: bool,
    store_paths: StorePaths,
) -> int:
    from assay.experiments.console.show import ordered, print_study, rows
    from assay.experiments.results.load import read_study  # here for the same reason
    from assay.experiments.results.trial import trial_of_study
    from assay.experiments.run.study_locks import describe_runner
    from assay.models.errors import RequestError

    study = read_study(name, store_paths, importance)
    if trial is not None:
        if trial not in study.trials.index:
            known = f"0 to {study.trials.index.max()}" if len(study.trials) else "none yet"
            raise RequestError(f"study {name!r} has no trial {trial}: it has {known}.")
        (row,) = rows(study.trials.loc[[trial]])
        return _answer(trial_of_study(study, trial, row, store_paths), every, as_json)
    trials = ordered(study, sort)
    if as_json:
        click.echo(options.as_json({**study.to_record(), "table": rows(trials)}))
    else:
        print_study(study, trials, every, describe_runner(name, store_paths))
    return 0


def _answer(trial: TrialResult, every: bool, as_json: bool) -> int:
    from assay.experiments.console.show import print_trial  # here for the same reason

    if as_json:
        click.echo(options.as_json(trial.to_record()))
    else:
        print_trial(trial, every)
    return 0
