"""Importance and effects of hyperparameters, as a sweep's summary and `assay show` print them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rich.console import Console
from rich.table import Table

from assay.experiments.console.tables import plain_table
from assay.experiments.formatting import format_count, format_metric
from assay.experiments.terminal_text import escape_line
from assay.search.importances import Importance, ImportanceReport, get_evaluator

_BAR_CHARACTERS = 24


def print_importance(
    out: Console, reports: Mapping[str, ImportanceReport], all_effects: bool = False
) -> None:
    """Print the importance of hyperparameters, or why there is none, and their effects.

    Args:
        out: where to.
        reports: by the metric of each objective.
        all_effects: print the effects of all hyperparameters, not only of those that pass the test.
    """
    for report in reports.values():
        out.print()
        for line in format_heading(report):
            out.print(line)
        if report.reason is None:
            out.print(_share_table(report))
            for line in format_remarks(report):
                out.print(f"  {line}")
        names: Collection[str] = report.effects if all_effects else _passed(report)
        if any(name in report.effects for name in names):
            _print_effects(out, report, names)


def format_heading(report: ImportanceReport) -> list[str]:
    """Return the lines above the importances for an objective, or the line in their place."""
    metric = escape_line(report.metric)
    if report.reason is not None:
        lines = [f"importance for {metric}: {escape_line(report.reason)}"]
        if report.shares and report.pruned:
            lines.append(f"  {_pruned_remark(report)}")
        return lines
    evaluator = get_evaluator(report.evaluator)
    trials = format_count(report.trials - report.given, "complete trial")
    return [f"importance for {metric}, {trials}: {evaluator.summary}"]


def format_remarks(report: ImportanceReport) -> list[str]:
    """Return what a reader of the shares must know."""
    lines = [get_evaluator(report.evaluator).caution]
    if report.not_shown:
        lines.append(f"cannot be told from chance: {_join(report.not_shown)}")
    lines += [
        f"not evaluated: {escape_line(name)} ({escape_line(reason)})"
        for name, reason in report.left_out.items()
    ]
    if report.given:
        given = format_count(report.given, "trial")
        lines.append(f"without {given} that no sampler drew: baselines and enqueued ones")
    return [*lines, *([_pruned_remark(report)] if report.pruned else [])]


def _passed(report: ImportanceReport) -> list[str]:
    return [name for name, share in report.shares.items() if share.passed]


def _pruned_remark(report: ImportanceReport) -> str:
    pruned = format_count(report.pruned, "pruned trial")
    return f"without {pruned}: complete trials are a selection, in which effects are harder to find"


def _share_table(report: ImportanceReport) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in report.shown:
        importance = report.shares[name]
        bar = "█" * max(1, round(importance.share * _BAR_CHARACTERS))
        table.add_row(
            f"  {escape_line(name)}", bar, f"{importance.share:.0%}", _interval(importance)
        )
    return table


def _interval(importance: Importance) -> str:
    if importance.low is None or importance.high is None:
        return ""
    return f"95 % interval {importance.low:.0%} to {importance.high:.0%}"


def _print_effects(out: Console, report: ImportanceReport, names: Collection[str]) -> None:
    passed = _passed(report)
    is_marked = any(name not in passed for name in names)
    caution = "; differences may be chance" if is_marked else ""
    if is_marked and passed:
        caution += ", except where marked *"
    out.print(f"\neffects on {escape_line(report.metric)} in complete trials{caution}:")
    table = plain_table("  hyperparameter", "values", "n", "mean", "sd")
    for column in table.columns[2:]:
        column.justify = "right"
    for name in dict.fromkeys([*report.shares, *report.effects]):
        if name not in names:
            continue
        effects = report.effects.get(name, ())
        marker = "*" if is_marked and name in passed else " "
        for row, effect in enumerate(effects):
            first = f"{marker} {escape_line(name)}" if row == 0 else ""
            sd = "" if effect.sd is None else format_metric(effect.sd)
            values = (str(effect.n), format_metric(effect.mean), sd)
            table.add_row(first, escape_line(effect.group), *values)
    out.print(table)


def _join(names: Collection[str]) -> str:
    return ", ".join(map(escape_line, names))
