"""Output of `assay finalize`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from assay.experiments.console.tables import create_console, plain_table
from assay.experiments.decision.load import UnfinishedFinalize
from assay.experiments.decision.outcome import Evaluation
from assay.experiments.evaluation.summaries import format_interval
from assay.experiments.evaluation.verdicts import Comparison
from assay.experiments.formatting import (
    format_count,
    format_metric,
    format_ordinal,
    format_param,
)
from assay.experiments.terminal_text import escape_line

INTERVALS = (
    "validation and test: mean over the seeds and its 95 % interval for new seeds on the same "
    "examples (sd: spread over the seeds); only the verdict is about new examples"
)
_OPTIMISM = "optimism: by how much the search score was better than the re-trained mean"


def print_evaluation(
    study: str,
    evaluation: Evaluation,
    next_commands: Mapping[str, str],
    to_stderr: bool = False,
) -> None:
    """Print what a finalize found.

    Args:
        study: name of the study.
        evaluation: what it found.
        next_commands: what can be done with it, by one word about it.
        to_stderr: print to standard error, because standard output is for JSON.
    """
    out = create_console(to_stderr)
    out.print()
    out.print(Text(_headline(study, evaluation), style="bold"))
    out.print()
    out.print(_finalist_table(evaluation))
    out.print(f"\n{INTERVALS}; {_OPTIMISM}", soft_wrap=not out.is_terminal)
    out.print()
    for sentence in verdict_sentences(evaluation):
        out.print(sentence, soft_wrap=not out.is_terminal)
    if next_commands:
        out.print()
    for word, command in next_commands.items():
        out.print(f"{word + ':':8}{escape_line(command)}", soft_wrap=True)


def print_unfinished(finalize: UnfinishedFinalize, go_on: str | None) -> None:
    """Print that a finalize has not ended.

    Args:
        finalize: the finalize.
        go_on: the command that goes on with it; None while it is at work.
    """
    out = create_console()
    done = f"{finalize.trained} of {format_count(finalize.trainings, 'training')}"
    state = "was opened" if finalize.is_opened else "was not opened"
    again = "" if finalize.opening == 1 else f" for the {format_ordinal(finalize.opening)} time"
    out.print()
    out.print(
        f"A finalize has not ended: {done} are done; the test set {state}{again}.",
        soft_wrap=not out.is_terminal,
    )
    if go_on is not None:
        out.print(f"{'go on:':8}{escape_line(go_on)}", soft_wrap=True)


def _headline(study: str, evaluation: Evaluation) -> str:
    opening = evaluation.opening
    if not evaluation.is_judged:
        state = "was opened" if evaluation.is_opened else "is closed"
        return f"{escape_line(study)}: not finished; the test set {state}; the same command goes on"
    times = "opened once" if opening == 1 else f"opened for the {format_ordinal(opening)} time"
    examples = format_count(evaluation.examples or 0, "example")
    return f"{escape_line(study)}: finalized; the test set, {examples}, was {times}"


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


def verdict_sentences(evaluation: Evaluation) -> list[str]:
    """Return what the comparisons with the leader say, one sentence each."""
    leader = evaluation.leader
    if leader is None:
        return ["No configuration leads: none was trained to its end."]
    direction = "highest" if evaluation.objective.direction == "maximize" else "lowest"
    metric = escape_line(evaluation.objective.metric)
    sentences = [f"Trial {leader} leads: its mean {metric} over the seeds is the {direction}."]
    # `--json` has all comparisons; the question here is what to take.
    with_leader = {
        one.trial: one.comparison for one in evaluation.finalists if one.comparison is not None
    }
    for trial, comparison in with_leader.items():
        difference = format_difference(
            comparison, evaluation.metric, in_points=evaluation.in_points
        )
        sentences.append(
            f"Trial {trial} is {format_verdict(comparison.verdict)} trial {leader} on the test "
            f"set: {difference}; {comparison.reason}."
        )
    if evaluation.is_judged:
        sentences += _unjudged_sentences(evaluation)
    named = {f"trial {trial}": comparison for trial, comparison in with_leader.items()}
    return [*sentences, *note_sentences(named), *evaluation.budget_sentences()]


def _unjudged_sentences(evaluation: Evaluation) -> list[str]:
    """Return why configurations have no verdict, one sentence each."""
    (leader,) = (one for one in evaluation.finalists if one.is_leader)
    if leader.test is None:
        return [
            f"No configuration is judged: none of the networks of trial {leader.trial}, which "
            "leads, could be measured on the test set."
        ]
    return [
        f"Trial {one.trial} is not judged: none of its networks could be "
        f"{'trained to its end' if one.validation is None else 'measured on the test set'}."
        for one in evaluation.finalists
        if not one.is_leader and one.comparison is None
    ]


def note_sentences(comparisons: Mapping[str, Comparison]) -> list[str]:
    """Return what limits the verdicts, each note once.

    Args:
        comparisons: by what is compared; a note that is not about all of them names it.
    """
    names: dict[str, list[str]] = {}
    for name, comparison in comparisons.items():
        for note in comparison.notes:
            names.setdefault(note, []).append(name)
    return [
        note if len(of) == len(comparisons) else f"{note} ({', '.join(of)})"
        for note, of in names.items()
    ]


def format_verdict(verdict: str) -> str:
    """Return a verdict in the words that precede the name of the other configuration."""
    return "not separable from" if verdict == "not separable" else f"{verdict} than"


def format_difference(comparison: Comparison, metric: str, *, in_points: bool) -> str:
    """Return a difference with its 95 % interval.

    Args:
        comparison: the comparison.
        metric: name of the test metric.
        in_points: whether the metric is a share that is shown as points of 100.
    """
    scale, unit = (100.0, " points") if in_points else (1.0, "")
    difference = f"{scale * comparison.difference:+.3g}"
    if comparison.low is None or comparison.high is None:
        return f"{difference}{unit}"
    half = scale * (comparison.high - comparison.low) / 2
    return f"{difference} ± {half:.2g}{unit} of {metric}"
