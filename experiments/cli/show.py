"""`assay show`: a study, a trial or a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from assay.experiments.cli import common, completion

if TYPE_CHECKING:
    from assay.experiments.results.trial import TrialResult
    from assay.experiments.workspace import StorePaths


@click.command("show", short_help="Show a study, one trial, or a run.")
@click.argument("name", metavar="STUDY|RUN_ID", shell_complete=completion.studies)
@click.option("--trial", type=int, help="Show this trial of the study.")
@click.option(
    "--importance",
    help="Importance evaluator: ranks, ped-anova, fanova or mdi.  [the experiment's]",
)
@click.option(
    "--sort",
    metavar="METRIC",
    help="Sort by an objective, a cost, or trial number (trial).  [the best first]",
)
@click.option("--all", "show_all", is_flag=True, help="Show all trials or epochs, not only 30.")
@common.store_paths
@common.json_output
def command(
    name: str,
    trial: int | None,
    importance: str | None,
    sort: str | None,
    show_all: bool,
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Show STUDY, one of its trials, or the run with RUN_ID in MLflow (32 hex digits).

    Writes nothing, and works while a sweep runs.

    \b
    Example:
      assay show digits-mlp
      assay show digits-mlp --trial 3
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.results.trial import read_trial_of_run
    from assay.experiments.tracking.lookup import is_run_id
    from assay.experiments.workspace import StorePaths, journal_names
    from assay.models.errors import RequestError

    chosen = StorePaths.choose(**store_paths)
    stores = common.explicit_options(store_paths, *store_paths)
    common.warn_if_moved(chosen.workspace)
    # A study may be named like a run id: then the study is meant.
    if is_run_id(name) and name not in journal_names(chosen.workspace):
        run = read_trial_of_run(name, chosen)
        if not isinstance(run, str):
            if trial is not None:
                raise RequestError(f"--trial is for a study; {name} is a run: leave --trial out.")
            return _show_trial(run, show_all, as_json)
        name = run  # a study's own run stands for the study
    return _show_study(name, trial, importance, sort, show_all, as_json, chosen, stores)


def _show_study(
    name: str,
    trial: int | None,
    importance: str | None,
    sort: str | None,
    show_all: bool,
    as_json: bool,
    store_paths: StorePaths,
    stores: Sequence[str],
) -> int:
    from assay.experiments.console.finalists import (
        format_decision,
        print_earlier,
        print_evaluation,
        print_missed,
        print_unfinished,
        print_unreadable,
        to_records,
    )
    from assay.experiments.console.show import print_study, sort_trials, to_rows
    from assay.experiments.decision.load import load_finalizes, read_evaluation
    from assay.experiments.decision.registration import format_registration
    from assay.experiments.decision.sentences import to_study_record
    from assay.experiments.results.load import read_study  # here for the same reason
    from assay.experiments.results.trial import read_trial_of_study
    from assay.experiments.run.study_locks import describe_runner, find_runner
    from assay.experiments.tracking.registry import describe_change
    from assay.experiments.tracking.schema import RegisteredVersion
    from assay.models.errors import RequestError

    study = read_study(name, store_paths, importance)
    if trial is not None:
        if trial not in study.trials.index:
            known = f"0 to {study.trials.index.max()}" if len(study.trials) else "none yet"
            raise RequestError(f"study {name!r} has no trial {trial}: it has {known}.")
        (row,) = to_rows(study.trials.loc[[trial]])
        return _show_trial(read_trial_of_study(study, trial, row, store_paths), show_all, as_json)
    trials = sort_trials(study, sort)
    finalized, unfinished = load_finalizes(name, store_paths)
    since = None
    if finalized is not None and isinstance(study.registered, RegisteredVersion):
        since = describe_change(store_paths, study.registered, finalized.study_id)
    if as_json:
        record = {
            **study.to_record(),
            "table": to_rows(trials),
            "finalize": None
            if finalized is None
            else {
                **to_study_record(finalized, study.finalist_runs, study.registered),
                "registered_since": since,
            },
            "earlier_finalizes": [] if finalized is None else to_records(finalized.earlier),
            "unfinished_finalize": None if unfinished is None else unfinished.to_record(),
        }
        click.echo(common.as_json(record))
        return 0
    evaluation, lost = read_evaluation(finalized)
    print_study(
        study,
        trials,
        show_all,
        describe_runner(name, store_paths),
        "" if evaluation is None else format_decision(evaluation),
    )
    if finalized is not None:
        if evaluation is None:
            print_unreadable(finalized, str(lost))
        else:
            leader = evaluation.leader_runs(study.finalist_runs)
            registration = format_registration(study.registered, evaluation)
            print_evaluation(
                name,
                evaluation,
                common.leader_commands(leader, stores),
                registration=registration
                if since is None
                else f"{registration}; since then: {since}",
            )
            print_earlier(finalized.earlier)
        best = None if study.best is None else study.best["number"]
        if best is not None and not finalized.has_trained(best):
            again = shlex.join([common.program(), "finalize", name, *stores])
            print_missed(best, again)
    if unfinished is not None:
        go_on = [common.program(), "finalize", name, *unfinished.options, *stores]
        runner = find_runner(store_paths, name)
        print_unfinished(unfinished, shlex.join(go_on) if runner is None else None)
    return 0


def _show_trial(trial: TrialResult, show_all: bool, as_json: bool) -> int:
    from assay.experiments.console.show import print_trial  # here for the same reason

    if as_json:
        click.echo(common.as_json(trial.to_record()))
    else:
        print_trial(trial, show_all)
    return 0
