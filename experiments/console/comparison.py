"""Output of `assay compare`."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from assay.experiments.console.finalists import (
    INTERVALS,
    format_difference,
    format_seeds,
    format_verdict,
    note_sentences,
)
from assay.experiments.console.tables import create_console, plain_table
from assay.experiments.decision.comparison import ConfigurationComparison
from assay.experiments.evaluation.summaries import format_interval
from assay.experiments.evaluation.verdicts import ALPHA, level_of_opening
from assay.experiments.formatting import format_count, format_param
from assay.experiments.terminal_text import escape_line


def print_comparison(comparison: ConfigurationComparison, to_stderr: bool = False) -> None:
    """Print what a comparison found.

    Args:
        comparison: what it found.
        to_stderr: print to standard error, because standard output is for a program.
    """
    out = create_console(to_stderr)
    out.print()
    out.print(Text(_headline(comparison), style="bold"))
    out.print()
    if shared := comparison.shared_params():
        params = ", ".join(
            f"{escape_line(name)} {format_param(value)}" for name, value in shared.items()
        )
        out.print(f"same in all: {params}\n", soft_wrap=not out.is_terminal)
    out.print(_table(comparison))
    out.print(f"\n{INTERVALS}", soft_wrap=not out.is_terminal)
    out.print()
    for sentence in comparison_sentences(comparison):
        out.print(sentence, soft_wrap=not out.is_terminal)


def _headline(comparison: ConfigurationComparison) -> str:
    configurations = format_count(len(comparison.configurations), "configuration")
    data = escape_line(comparison.conditions.data)
    if comparison.examples is None:
        return f"{configurations} of {data}, without predictions on the test set"
    examples = format_count(comparison.examples, "test example")
    times = "once" if comparison.openings == 1 else f"up to {comparison.openings} times"
    return f"{configurations} on the same {examples} of {data}; each study opened them {times}"


def _table(comparison: ConfigurationComparison) -> Table:
    names = comparison.differing_params()
    metric = escape_line(comparison.objective.metric)
    table = plain_table(
        "  configuration", *names, "seeds", metric, f"test {comparison.metric}", "verdict"
    )
    table.columns[0].no_wrap = True
    for one in comparison.configurations:
        params = one.candidate.params
        table.add_row(
            f"{'*' if one.is_leader else ' '} {escape_line(one.name)}",
            *(format_param(params[name]) if name in params else "" for name in names),
            format_seeds(one.candidate.seeds, one.candidate.failed),
            format_interval(one.candidate.validation),
            format_interval(one.test),
            f"baseline, {one.verdict}" if one.candidate.is_baseline else one.verdict,
        )
    return table


def comparison_sentences(comparison: ConfigurationComparison) -> list[str]:
    """Return what a comparison says, one sentence each."""
    sentences = []
    if comparison.leader is not None:
        direction = "highest" if comparison.objective.direction == "maximize" else "lowest"
        metric = escape_line(comparison.objective.metric)
        leader = escape_line(comparison.leader)
        sentences.append(
            f"{leader} leads: its mean {metric} over the seeds is the {direction} of the "
            "configurations that were trained again."
        )
    for (first, second), found in comparison.comparisons.items():
        difference = format_difference(found, comparison.metric, in_points=comparison.in_points)
        sentences.append(
            f"{escape_line(first)} is {format_verdict(found.verdict)} {escape_line(second)} on the "
            f"test set: {difference}; {found.reason}."
        )
    sentences += note_sentences(
        {
            f"{escape_line(first)} and {escape_line(second)}": found
            for (first, second), found in comparison.comparisons.items()
        }
    )
    sentences += [
        f"{escape_line(one.name)} is not judged: {escape_line(one.reason)}."
        for one in comparison.configurations
        if one.verdict == "not judged" and one.reason is not None
    ]
    sentences += [
        escape_line(note) for one in comparison.configurations for note in one.candidate.notes
    ]
    if comparison.comparisons and comparison.openings > 1:
        level = 100 * level_of_opening(comparison.openings)
        sentences.append(
            f"Verdicts are judged at {level:g} % in place of {100 * ALPHA:g} %, because a test set "
            "that was looked at before is no longer new."
        )
    budget = comparison.budget_sentence()
    return sentences if budget is None else [*sentences, escape_line(budget)]
