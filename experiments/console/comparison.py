"""Output of `assay compare`."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from assay.experiments.console.finalists import format_legend, format_seeds
from assay.experiments.console.tables import create_console, plain_table
from assay.experiments.decision.comparison import ConfigurationComparison
from assay.experiments.decision.sentences import describe_comparison
from assay.experiments.evaluation.summaries import format_interval
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
    splits = comparison.conditions.splits
    legend = format_legend(comparison.objective, comparison.metric, splits)
    out.print(f"\n{legend}", soft_wrap=not out.is_terminal)
    out.print()
    for sentence in describe_comparison(comparison):
        out.print(sentence, soft_wrap=not out.is_terminal)


def _headline(comparison: ConfigurationComparison) -> str:
    configurations = format_count(len(comparison.configurations), "configuration")
    data = escape_line(comparison.conditions.data)
    if comparison.examples is None:
        return f"{configurations} of {data}, without predictions on the test set"
    examples = format_count(comparison.examples, "test example")
    headline = f"{configurations} on the same {examples} of {data}"
    if comparison.openings == 1:
        return f"{headline}, which each study opened once"
    return f"{headline}, which one of the studies opened {comparison.openings} times"


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
