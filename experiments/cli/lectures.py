"""`assay lectures`: the lectures' claims as experiments, and a report of what was found."""

from __future__ import annotations

import json

import click
from click.shell_completion import CompletionItem

from assay.experiments.cli import common
from assay.experiments.terminal_text import escape_text


def _complete(
    context: click.Context, parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    from assay.experiments.lectures.catalog import NAMES

    return [CompletionItem(name) for name in NAMES if name.startswith(typed)]


@click.command("lectures", short_help="Check the lectures' claims by experiments.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete)
@click.option("--list", "is_list", is_flag=True, help="List the experiments and their claims.")
@click.option("--full", is_flag=True, help="Use all data and long trainings; this may take hours.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Folder to write the report to.  [reports/lectures in home]",
)
@common.store_paths
@common.json_output
def command(
    names: tuple[str, ...],
    is_list: bool,
    full: bool,
    out: str | None,
    as_json: bool,
    **store_paths: str | None,
) -> int:
    """Run the experiments of the lectures, or those that are NAMED, and write one report.

    Each experiment has a claim, and a rule by which it is judged: holds, does not hold here, or
    depends. Its networks are trained as studies on several seeds, and are in MLflow.

    \b
    Example:
      assay lectures --list
      assay lectures mnist-two-layer
    """
    # Here, so that --help need not import the stores.
    from assay.experiments.lectures.catalog import load_experiments
    from assay.experiments.lectures.run import describe, run_experiments
    from assay.experiments.workspace import StorePaths
    from assay.search.system.files import absolute_path

    experiments = load_experiments(names)
    if is_list:
        records = [describe(one) for one in experiments]
        if as_json:
            click.echo(json.dumps(records))
        else:
            width = max(len(one.name) for one in experiments)
            for one in experiments:
                click.echo(escape_text(f"{one.name:<{width}}  {one.claim}. ({one.source})"))
        return 0
    # Here, because matplotlib takes a second to import.
    from assay.experiments.lectures.write import write_outcomes

    chosen = StorePaths.choose(**store_paths)
    common.warn_if_moved(chosen.workspace)
    folder = chosen.workspace.report(["lectures"]) if out is None else absolute_path(out, "--out")

    def say(line: str) -> None:
        click.echo(escape_text(line), err=as_json)

    outcomes = run_experiments(experiments, chosen, "full" if full else "short", say)
    for outcome in outcomes:
        if outcome.error is not None:
            say(f"{outcome.experiment.name}: could not run: {outcome.error}")
        for rule, verdict in zip(outcome.experiment.rules, outcome.verdicts, strict=False):
            say(f"{outcome.experiment.name}: {verdict}: {rule.claim}")
    page = write_outcomes(outcomes, folder)
    if as_json:
        records = [outcome.to_record() for outcome in outcomes]
        click.echo(common.as_json({"page": str(page), "experiments": records}))
    else:
        click.echo(str(page))
    return 1 if any(outcome.error is not None for outcome in outcomes) else 0
