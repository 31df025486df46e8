"""Sections that every study has: checks and data, cost, what was not tried, how to run it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.experiments.formatting import format_count, format_param
from assay.experiments.report.page.cells import format_time, shorten
from assay.experiments.report.page.document import (
    Badge,
    Block,
    Code,
    Items,
    Paragraph,
    Section,
    Table,
    columns,
)
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    Check,
    Command,
    Environment,
    StudyEnvironment,
    StudyRecord,
)
from assay.experiments.terminal_text import escape_line, escape_text

_PURPOSES = {
    "search": "search",
    "finalize": "train the best again, and open the test set",
    "reproduce": "train the network again from its recipe and seed, and compare every number",
    "train": "train its configuration once more; options change something in it",
    "serve": "serve the network in an environment that uv makes (pip install uv); it takes minutes "
    "at first, then says 'Uvicorn running'",
    "ask": "in a second terminal: ask it about the training example that is stored with it",
    "export": "write the network to a file, beside a program that uses it",
    "ui": "open the study in MLflow",
    "report": "write a report of this study alone",
}
_SETTINGS = {"dirty": "uncommitted changes", "commit": "commit of the code"}
_LONGEST_FACT = 20
_NEXT = (
    "What to do with it next, typed where the study was made: its networks are in the stores "
    "there, and not in this folder. Of another commit than that in the table below, reproduce says "
    "what differs:"
)


def build_check_section(view: StudyView) -> Section:
    """Return the checks, those that fire first, and what was understood of data and model."""
    study, data = view.study, view.study.data
    blocks: list[Block] = [
        Paragraph(line, "warning")
        for line in (*study.warnings, *([data.note] if data.note else ()))
    ]
    order = {True: 0, False: 1, None: 2}
    checks = sorted(study.checks, key=lambda one: order[one.fired])
    fired = sum(one.fired is True for one in checks)
    if checks and view.leader is not None:
        blocks.append(
            Paragraph(
                "The checks are about the search alone, in which each trial was trained once. "
                "Where they differ from the verdicts above, the verdicts count: they rest on new "
                "seeds and on the test set."
            )
        )
    if checks:
        blocks.append(
            Table(
                f"{fired} of {format_count(len(checks), 'check')} fired. Each that fired says what "
                "to do.",
                columns("check", "result", "what it found"),
                [[one.name, _check_badge(one), one.text] for one in checks],
                stacked=True,
            )
        )
    if study.facts:
        blocks.append(Items([_split_fact(line) for line in study.facts]))
    is_tested = view.leader is not None
    return Section(f"Checks{' of the search' if is_tested else ''}, data and model", blocks)


def _check_badge(check: Check) -> Badge:
    if check.fired is None:
        return Badge("not applicable", "plain")
    return Badge("fired", "open") if check.fired else Badge("passed", "good")


def _split_fact(line: str) -> tuple[str, str]:
    name, colon, text = line.partition(": ")
    return (name, text) if colon and len(name) <= _LONGEST_FACT else ("", line)


def build_cost_section(study: StudyRecord) -> Section:
    """Return what a study took."""
    costs = study.costs
    rows = [
        [name, format_time(value), f"{value:,.1f}"]
        for name, value in (
            ("search, from start to end", costs.sweep),
            ("training of all trials, the sum over workers", costs.training),
            ("finalize, from start to end", costs.finalize),
            ("training of the finalists, the sum over workers", costs.finalist_training),
        )
        if value is not None
    ]
    blocks: list[Block] = []
    if rows:
        blocks.append(Table("Wall time and training time.", columns("", "#time", "#seconds"), rows))
    else:
        blocks.append(Paragraph("No times are recorded."))
    if study.execution:
        settings = ", ".join(f"{name} {value}" for name, value in study.execution.items())
        blocks.append(Paragraph(f"Measured with: {settings}.", "note"))
    return Section("Cost", blocks)


def build_untried_section(study: StudyRecord) -> Section | None:
    """Return what was not tried; None if nothing is known of it."""
    if not study.untried:
        return None
    return Section("What was not tried", [Items([("", line) for line in study.untried])])


def build_again_section(view: StudyView, environment: Environment) -> Section:
    """Return everything that is needed to run a study again."""
    study = view.study
    blocks: list[Block] = []
    # The record of an interrupted finalize is one of a finalize that was typed, too.
    typed = {"search", "finalize"} if study.openings or study.unfinished else {"search"}
    done = [one for one in study.commands if one.purpose in typed]
    next_ones = [one for one in study.commands if one.purpose not in typed]
    if done:
        blocks.append(_command_block(done, "What made this study:"))
    if not view.is_independent and view.trials:
        blocks.append(
            Paragraph(
                "With several workers a search that is run again may try other configurations: "
                "what its sampler knows depends on which trial ends first. 'assay reproduce' "
                "trains one of these trials again, and compares."
            )
        )
    if study.openings:
        blocks.append(
            Paragraph(
                "Running finalize again opens the test set once more: each opening is counted, and "
                "a later one is judged at a stricter level."
            )
        )
    if study.network:
        blocks.append(Paragraph(study.network))
    if next_ones:
        blocks.append(_command_block(next_ones, _NEXT))
    stages = [one for one in environment.stages if one.study == study.study]
    blocks += _warn_of_changes(stages)
    data = study.data
    blocks.append(
        Items(
            [
                ("data", f"{data.name}; SHA-256 of its arrays {data.digest}"),
                ("as published", data.verified),
                ("seed of the study", "not recorded" if study.seed is None else str(study.seed)),
                ("sampler and pruner", f"{study.sampler}, {study.pruner}"),
            ]
        )
    )
    if stages:
        blocks.append(_environment_table(stages))
    if study.fixed:
        blocks.append(
            Table(
                "Hyperparameters that were not searched.",
                columns("name", "value"),
                [[name, shorten(format_param(value), 200)] for name, value in study.fixed.items()],
                folded=True,
            )
        )
    if study.toml:
        caption = (
            "The experiment as TOML, with everything that was set; cost and expect are what its "
            "author says."
        )
        blocks.append(Code(study.toml, caption, "toml", folded=True))
    return Section("Run it again", blocks)


def _command_block(commands: Sequence[Command], caption: str) -> Code:
    lines = []
    for one in commands:
        comment = f"# {escape_line(_PURPOSES.get(one.purpose, one.purpose))}"
        if one.note:
            comment += f":\n# {escape_line(one.note)}"
        lines.append(f"{comment}\n{escape_text(one.line)}")
    return Code("\n\n".join(lines), caption, "sh")


def _warn_of_changes(stages: Sequence[StudyEnvironment]) -> Iterator[Block]:
    for stage in stages:
        if stage.settings.get("dirty") == "yes":
            commit = stage.settings.get("commit", "unknown")
            yield Paragraph(
                f"The code of the {stage.stage} had changes that were not committed, on top of "
                f"commit {commit}: the commit alone does not run it again exactly.",
                "warning",
            )


def _environment_table(stages: Sequence[StudyEnvironment]) -> Table:
    names = dict.fromkeys(name for stage in stages for name in stage.settings)
    return Table(
        "Versions, commit and machine; environment.json has all packages.",
        columns("", *(stage.stage for stage in stages)),
        [
            [_SETTINGS.get(name, name), *(stage.settings.get(name, "") for stage in stages)]
            for name in names
        ],
        folded=True,
    )
