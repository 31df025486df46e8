"""The report of lecture experiments: claim, figure, numbers, verdict, command, what to try."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from assay.experiments.formatting import format_count, format_duration, join_and
from assay.experiments.lectures.rules import (
    Number,
    Rule,
    Verdict,
    format_ends,
    format_number,
    format_value,
)
from assay.experiments.lectures.run import Outcome
from assay.experiments.report.page.document import (
    Badge,
    Chapter,
    Code,
    Document,
    Items,
    Paragraph,
    Section,
    Summary,
    Table,
    Tone,
    columns,
)
from assay.experiments.report.store import MANIFEST, MARKDOWN, PAGE

RESULTS = "results.json"
_TONES: Mapping[Verdict, Tone] = {
    "holds": "good",
    "does not hold here": "bad",
    "depends": "open",
}
_PLURALS: Mapping[Verdict, str] = {
    "holds": "hold",
    "does not hold here": "do not hold here",
    "depends": "depend",
}
_INTERVALS = (
    "An interval is a 95 % interval over new seeds on the same examples; that of a difference is "
    "over new examples too. A number without one is exact, or was counted."
)


def build_page(outcomes: Sequence[Outcome], collected: str) -> Document:
    """Return the content of the report.

    Args:
        outcomes: what the experiments found, in the order of the page.
        collected: when they were measured: a line of the page.
    """
    chapters = [_build_chapter(one) for one in outcomes]
    if len(outcomes) > 1:
        chapters.insert(0, _build_overview(outcomes))
    return Document(
        title="The lectures' claims, measured",
        collected=collected,
        chapters=chapters,
        files=(
            (PAGE, "this page"),
            ("figures", "its figures, which the page shows from there"),
            (MARKDOWN, "the same as Markdown, with its figures in figures/"),
            (RESULTS, "all numbers and verdicts"),
            (MANIFEST, "SHA-256 digests of the files"),
        ),
        closing=[Code(_command(outcomes), "It was made by:", "sh")],
        embeds_figures=False,  # so many would make a page of megabytes
    )


def _command(outcomes: Sequence[Outcome]) -> str:
    size = next((["--full"] for one in outcomes if one.size == "full"), [])
    return shlex.join(["assay", "lectures", *(one.experiment.name for one in outcomes), *size])


def _build_overview(outcomes: Sequence[Outcome]) -> Chapter:
    verdicts = [verdict for one in outcomes for verdict in one.verdicts]
    failed = [one.experiment.name for one in outcomes if one.error is not None]
    return Chapter(
        title="All claims",
        anchor="claims",
        lines=[],
        summary=Summary(
            status=Badge(format_count(len(outcomes), "experiment"), "plain"),
            question="Which of the lectures' claims can be seen here, and how sure is that?",
            answer=f"Of {format_count(len(verdicts), 'claim')}, {_count_verdicts(verdicts)}.",
            configuration=[],
            explanation=(
                "Each claim has a rule with thresholds, which was written before it was measured. "
                "A claim holds if all that its rule asks for was measured, for all of each "
                "interval; it does not hold here if nothing was; in every other case it depends."
            ),
            certainty=[f"{name} could not run: see its chapter." for name in failed],
            certainty_title="What could not run",
            facts=[("time", format_duration(sum(one.seconds for one in outcomes)))],
            picture=None,
        ),
        sections=[
            Section(
                "Verdicts",
                [
                    Table(
                        "One row per claim.",
                        columns("experiment", "claim", "verdict"),
                        [
                            [one.experiment.name, f"{rule.claim}.", _badge(verdict)]
                            for one in outcomes
                            for rule, verdict in zip(
                                one.experiment.rules, one.verdicts, strict=False
                            )
                        ],
                        stacked=True,
                    )
                ],
            )
        ],
    )


def _badge(verdict: Verdict) -> Badge:
    return Badge(verdict, _TONES[verdict])


def _build_chapter(outcome: Outcome) -> Chapter:
    experiment, measured = outcome.experiment, outcome.measured
    name = experiment.name
    lines = [f"Source: {experiment.source}."]
    command = Code(_command([outcome]), "Measure it yourself:", "sh")
    if measured is None:
        return Chapter(
            title=experiment.title,
            anchor=name,
            lines=lines,
            summary=Summary(
                status=Badge("could not run", "bad"),
                question=experiment.claim,
                answer="Not measured.",
                configuration=[],
                explanation=outcome.error or "",
                certainty=[],
                facts=[],
                picture=None,
                code=command,
            ),
            sections=[_next_section(outcome)],
        )
    first = experiment.rules[0]
    sections = [
        Section(
            "What was measured",
            [
                Table(
                    "Each part of the claim, the rule that was written before, and what was found.",
                    columns("claim", "rule", "measured", "verdict"),
                    [
                        [
                            f"{rule.claim} ({rule.place})",
                            f"{_describe_rule(rule)}. Why: {rule.reason}.",
                            _describe_numbers(rule, measured.numbers),
                            _badge(verdict),
                        ]
                        for rule, verdict in zip(experiment.rules, outcome.verdicts, strict=True)
                    ],
                    stacked=True,
                ),
                *measured.pictures[1:],
                *measured.tables,
                Table(
                    f"All numbers. {_INTERVALS}",
                    columns("number", "#value", "#95 % interval", "#seeds"),
                    [
                        [
                            name,
                            format_value(number),
                            format_ends(number),
                            "" if number.seeds is None else str(number.seeds),
                        ]
                        for name, number in measured.numbers.items()
                    ],
                    folded=len(measured.numbers) > 12,
                ),
                *(Paragraph(note) for note in measured.notes),
            ],
        ),
        _next_section(outcome),
        _track_section(outcome),
    ]
    return Chapter(
        title=experiment.title,
        anchor=name,
        lines=lines,
        summary=Summary(
            status=_badge(outcome.verdicts[0]),
            question=experiment.claim,
            answer=_answer(outcome),
            configuration=[],
            explanation=f"The rule: {_describe_rule(first)}.",
            certainty=[
                f"{rule.claim}: {verdict}. Measured: {_describe_numbers(rule, measured.numbers)}."
                for rule, verdict in zip(experiment.rules, outcome.verdicts, strict=True)
            ],
            certainty_title="What was seen, and how sure it is",
            facts=list(_list_facts(outcome)),
            picture=next(iter(measured.pictures), None),
            code=command,
        ),
        sections=[section for section in sections if section is not None],
    )


def _answer(outcome: Outcome) -> str:
    if len(outcome.verdicts) == 1:
        return f"{outcome.verdicts[0].capitalize()}."
    return f"Of {len(outcome.verdicts)} parts, {_count_verdicts(outcome.verdicts)}."


def _count_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return how many verdicts there are of each kind.

    Example:
        >>> _count_verdicts(["holds", "holds", "depends"])
        '2 hold and 1 depends'
    """
    counts = Counter(verdicts)
    parts = [
        f"{counts[name]} {name if counts[name] == 1 else _PLURALS[name]}"
        for name in _TONES
        if counts[name]
    ]
    return join_and(parts) if parts else "none was measured"


def _list_facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    assert outcome.measured is not None
    seeds = [one.seeds for one in outcome.measured.numbers.values() if one.seeds is not None]
    if seeds:
        yield "seeds", str(min(seeds)) if min(seeds) == max(seeds) else f"{min(seeds)} or more"
    yield "time", format_duration(outcome.seconds)


def _describe_rule(rule: Rule) -> str:
    return "; ".join(condition.describe() for condition in rule.conditions)


def _describe_numbers(rule: Rule, numbers: Mapping[str, Number]) -> str:
    names = dict.fromkeys(condition.number for condition in rule.conditions)
    return "; ".join(f"{name} {format_number(numbers[name])}" for name in names)


def _next_section(outcome: Outcome) -> Section:
    return Section(
        "Three things to try",
        [Items([("", step) for step in outcome.experiment.next_steps])],
    )


def _track_section(outcome: Outcome) -> Section | None:
    """Return where the networks of an experiment are; None if it trained none."""
    if outcome.measured is None or not outcome.measured.studies:
        return None
    lines = [
        line
        for study in outcome.measured.studies
        for line in (f"assay show {shlex.quote(study)}", f"assay ui {shlex.quote(study)}")
    ]
    return Section(
        "Every network in MLflow",
        [
            Paragraph(
                "Each training is a run, with its seed, its curves and what it was trained with. "
                "'assay reproduce RUN_ID' trains one again, and compares every number."
            ),
            Code("\n".join(lines), "", "sh"),
        ],
    )
