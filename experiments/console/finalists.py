"""Output of `assay finalize`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from assay.experiments.console.tables import create_console, plain_table
from assay.experiments.decision.load import FinalizedStudy, UnfinishedFinalize
from assay.experiments.decision.outcome import Evaluation
from assay.experiments.decision.sentences import describe_evaluation, describe_judged
from assay.experiments.evaluation.summaries import format_interval
from assay.experiments.evaluation.verdicts import level_of_opening
from assay.experiments.formatting import (
    format_count,
    format_metric,
    format_ordinal,
    format_param,
)
from assay.experiments.terminal_text import escape_line
from assay.search.events import FinalizeJudged
from assay.search.objective import Objective

_OPTIMISM = "optimism: by how much the search score was better than the re-trained mean"


def print_evaluation(
    study: str,
    evaluation: Evaluation,
    next_commands: Mapping[str, str],
    to_stderr: bool = False,
    registration: str | None = None,
) -> None:
    """Print what a finalize found.

    Args:
        study: name of the study.
        evaluation: what it found.
        next_commands: what can be done with it, by one word about it.
        to_stderr: print to standard error, because standard output is for JSON.
        registration: a line about the network that it registered; None if there is none.
    """
    out = create_console(to_stderr)
    out.print()
    out.print(Text(_headline(study, evaluation), style="bold"))
    out.print()
    out.print(_finalist_table(evaluation))
    legend = format_legend(evaluation.objective, evaluation.metric, evaluation.splits)
    out.print(f"\n{legend}; {_OPTIMISM}", soft_wrap=not out.is_terminal)
    out.print()
    for sentence in describe_evaluation(evaluation):
        out.print(sentence, soft_wrap=not out.is_terminal)
    if registration is not None:
        out.print()
        out.print(registration, soft_wrap=True)
    if next_commands:
        out.print()
    for word, command in next_commands.items():
        out.print(f"{word + ':':8}{escape_line(command)}", soft_wrap=True)


def format_decision(evaluation: Evaluation) -> str:
    """Return one line about what a finalize found, to stand beside the best of the search."""
    leader = next((one for one in evaluation.finalists if one.is_leader), None)
    if leader is None or leader.validation is None:
        return "finalized: no configuration leads; more at the end"
    metric, mean = escape_line(evaluation.objective.metric), format_metric(leader.validation.mean)
    seeds = format_count(leader.seeds, "fresh seed")
    return f"finalized: trial {leader.trial} leads, {metric} {mean} over {seeds}; more at the end"


def print_earlier(earlier: Sequence[FinalizeJudged]) -> None:
    """Print the verdicts of the finalizes before the last one."""
    out = create_console()
    if earlier:
        out.print()
    for judged in earlier:
        out.print(describe_judged(judged), soft_wrap=not out.is_terminal)


def print_unreadable(finalized: FinalizedStudy, reason: str) -> None:
    """Print the recorded verdicts of a finalize whose predictions are lost."""
    out = create_console()
    print_earlier([*finalized.earlier, finalized.verdicts])
    out.print(
        f"\nNothing more can be computed: {escape_line(reason)}", soft_wrap=not out.is_terminal
    )


def to_records(earlier: Sequence[FinalizeJudged]) -> list[dict[str, Any]]:
    """Return what `assay show --json` prints of the finalizes before the last one."""
    return [
        {"opening": one.opening, "leader": one.leader, "verdicts": dict(one.verdicts)}
        for one in earlier
    ]


def print_missed(trial: int, again: str) -> None:
    """Print that the best of the search is not among what was trained again.

    Args:
        trial: number of the best.
        again: the command that trains it too.
    """
    out = create_console()
    out.print(
        f"\nTrial {trial}, now the best of the search, was not trained again: it came later. To "
        "judge it too, which opens the test set once more:",
        soft_wrap=not out.is_terminal,
    )
    out.print(f"{'decide:':8}{escape_line(again)}", soft_wrap=True)


def print_unfinished(finalize: UnfinishedFinalize, go_on: str | None) -> None:
    """Print that a finalize has not ended.

    Args:
        finalize: the finalize.
        go_on: the command that goes on with it; None while it is at work.
    """
    out = create_console()
    done = f"{finalize.trained} of {format_count(finalize.trainings, 'training')}"
    state = "was opened" if finalize.is_opened else "was not opened"
    state_now = "is at work" if go_on is None else "has not ended"
    again = "" if finalize.opening == 1 else f" for the {format_ordinal(finalize.opening)} time"
    out.print()
    out.print(
        f"A finalize {state_now}: {done} are done; the test set {state}{again}.",
        soft_wrap=not out.is_terminal,
    )
    if go_on is not None:
        out.print(f"{'go on:':8}{escape_line(go_on)}", soft_wrap=True)


def format_legend(objective: Objective, metric: str, splits: bool) -> str:
    """Return what the columns of a table of configurations mean.

    Args:
        objective: by which validation chose the leader.
        metric: what the test set was measured by.
        splits: whether the validation split was drawn anew for every seed.
    """
    new = "new seeds and new splits" if splits else "new seeds on the same examples"
    return (
        f"{escape_line(objective.metric)}, which chooses the leader, and test {metric}, which "
        f"judges: mean over the seeds and its 95 % interval for {new} (sd: spread over the seeds); "
        "only the verdict is about new examples"
    )


def _headline(study: str, evaluation: Evaluation) -> str:
    opening = evaluation.opening
    if not evaluation.is_judged:
        state = "was opened" if evaluation.is_opened else "is closed"
        return f"{escape_line(study)}: not finished; the test set {state}; the same command goes on"
    times = "opened once" if opening == 1 else f"opened for the {format_ordinal(opening)} time"
    examples = format_count(evaluation.examples or 0, "example")
    split = ", with new validation splits" if evaluation.splits else ""
    level = f"{100 * level_of_opening(opening):g} %"
    return (
        f"{escape_line(study)}: finalized{split}; the test set, {examples}, was {times}; verdicts "
        f"at {level}"
    )


def _finalist_table(evaluation: Evaluation) -> Table:
    names = dict.fromkeys(
        name for one in evaluation.finalists for name in one.configuration.searched
    )
    metric = escape_line(evaluation.objective.metric)
    table = plain_table(
        "  trial",
        *names,
        "seeds",
        metric,
        f"test {evaluation.metric}",
        "search",
        "optimism",
        "verdict",
    )
    table.columns[0].no_wrap = True
    for one in evaluation.finalists:
        searched = one.configuration.searched
        params = (format_param(searched[name]) if name in searched else "" for name in names)
        search = one.configuration.search_value
        table.add_row(
            f"{'*' if one.is_leader else ' '} {one.trial}",
            *params,
            format_seeds(one.seeds, one.failed),
            format_interval(one.validation),
            format_interval(one.test),
            "" if search is None else format_metric(search),
            "" if one.optimism is None else f"{one.optimism:+.4f}",
            f"baseline, {one.verdict}" if one.configuration.is_baseline else one.verdict,
        )
    return table


def format_seeds(seeds: int, failed: Iterable[str]) -> str:
    """Return a number of seeds, with the labels of those that failed beside it.

    Example:
        >>> format_seeds(3, ["failed: diverged", "failed: diverged"])
        '3 (2 diverged)'
    """
    reasons = Counter(label.removeprefix("failed: ") for label in failed)
    if not reasons:
        return str(seeds)
    counts = ", ".join(f"{number} {escape_line(reason)}" for reason, number in reasons.items())
    return f"{seeds} ({counts})"
