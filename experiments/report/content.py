"""What a report says: its records as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assay.experiments.formatting import (
    format_count,
    format_duration,
    format_metric,
    format_param,
    format_state_counts,
)
from assay.experiments.report import figures
from assay.experiments.report.document import (
    Block,
    Chapter,
    Code,
    Document,
    Gallery,
    Items,
    Paragraph,
    Picture,
    Section,
    Summary,
    Table,
)
from assay.experiments.report.records import (
    ClassRecord,
    ComparedRecord,
    Difference,
    EffectRecord,
    Environment,
    ExampleRecord,
    ExpectedBestRecord,
    FinalistRecord,
    HyperparameterRecord,
    ImportanceRecord,
    Interval,
    IsolationRecord,
    ReferenceRecord,
    ReportRecords,
    StudyRecord,
    TrainingRecord,
    TrialRecord,
)

_INTERVAL_NOTE = (
    "Intervals are 95 % t intervals of the mean over new seeds on the same examples. Two of them "
    "do not say which configuration is better; the verdicts do, which count new examples too."
)
_MOST_CLASS_ROWS = 100
_MOST_TRIAL_ROWS = 1000
_PURPOSES = {
    "search": "search",
    "finalize": "train the best again and open the test set",
    "reproduce": "train the chosen network again and compare every number",
    "train": "train its configuration with something changed",
    "export": "write the network to a file",
    "ui": "open the study in MLflow",
    "report": "write this report again",
}
_STATE_WORDS = {"not separable": "cannot be told from it", "not judged": "not judged"}


def build_document(records: ReportRecords, environment: Environment) -> Document:
    """Return the content of a report."""
    report, studies = records.report, records.studies
    chapters = [_build_study(study, records, environment) for study in studies]
    if len(studies) > 1:
        chapters.insert(0, _build_comparison(records))
    return Document(
        title=report.title or ", ".join(report.studies),
        lines=[f"Assay {report.version}. Records collected {_format_time(report.collected)}."],
        chapters=chapters,
    )


def _format_time(collected: str) -> str:
    return collected.replace("T", " ").removesuffix("Z") + " UTC"


# Several studies.


def _build_comparison(records: ReportRecords) -> Chapter:
    report, compared = records.report, records.all_of(ComparedRecord)
    leader = next((one for one in compared if one.verdict == "leader"), None)
    first = records.studies[0]
    references = records.all_of(ReferenceRecord)
    names = [_short_name(one, records) for one in compared]
    picture = None
    if any(one.test is not None for one in compared):
        picture = Picture(
            name="comparison",
            caption=(
                f"{first.test_metric.capitalize()} of every finalist on the same test set: mean "
                "over the seeds with its 95 % interval. The dotted line is the leader's mean."
            ),
            alt=f"The {len(compared)} configurations of all studies with intervals, best first.",
            svg=figures.draw_compared(compared, first.test_metric, first.is_share, names),
            wide=False,
        )
    summary = Summary(
        question="Which of these configurations is best, and how sure is that?",
        answer=_answer_comparison(leader, compared, records),
        certainty=list(_explain_comparison(leader, compared, records)),
        figures=[
            ("studies", str(len(report.studies))),
            ("configurations", str(len(compared))),
            ("trials", str(sum(_count_tried(study) for study in records.studies))),
        ],
        picture=picture,
        is_final=leader is not None,
    )
    sections = [
        Section("All studies", "all-studies", [_study_table(records), *_compared_table(records)])
    ]
    if references:
        items = [
            (one.name, f"{one.description} {_format_seconds(one.seconds)}") for one in references
        ]
        sections.append(Section("References", "references", [Items(items)]))
    return Chapter("Comparison", "comparison", [], summary, sections)


def _short_name(one: ComparedRecord, records: ReportRecords) -> str:
    baseline = " (baseline)" if one.baseline else ""
    return f"{one.name}{baseline}"


def _answer_comparison(
    leader: ComparedRecord | None, compared: Sequence[ComparedRecord], records: ReportRecords
) -> str:
    if leader is None or leader.test is None:
        reason = records.report.not_compared or "fewer than two studies are finalized"
        return f"The studies are not compared: {reason.rstrip('.')}."
    first = records.studies[0]
    return (
        f"{leader.name} leads: {_format_params(leader.params, records, leader.study)}. "
        f"{_describe_test(leader.test, first)}"
    )


def _explain_comparison(
    leader: ComparedRecord | None, compared: Sequence[ComparedRecord], records: ReportRecords
) -> Iterator[str]:
    if leader is None:
        return
    is_share = records.studies[0].is_share
    yield from _list_verdicts(
        [(one.name, one.verdict, one.difference) for one in compared], is_share
    )
    yield from (line for line in records.report.comparison if "leads" not in line)


def _study_table(records: ReportRecords) -> Table:
    rows = []
    for study in records.studies:
        finalists = records.of(FinalistRecord, study.study)
        leader = next((one for one in finalists if one.verdict == "leader"), None)
        best = _find_trial(records, study.study, study.best)
        rows.append(
            [
                study.study,
                study.family,
                str(_count_tried(study)),
                "" if best is None or not best.values else _format_number(best.values[0]),
                "not finalized" if leader is None else _format_interval(leader.test),
                "" if leader is None or leader.parameters is None else f"{leader.parameters:,}",
                ""
                if leader is None or leader.epoch_seconds is None
                else f"{leader.epoch_seconds:.2f}",
                _format_seconds(study.costs.sweep, ""),
                _format_seconds(study.costs.finalize, ""),
            ]
        )
    first = records.studies[0]
    return Table(
        caption="One row a study: its best score in the search, and its leader on the test set.",
        columns=[
            "study",
            "model",
            "trials",
            "best in search",
            f"leader, test {first.test_metric}",
            "weights",
            "seconds an epoch",
            "search",
            "finalize",
        ],
        rows=rows,
        numeric=[False, False, True, True, True, True, True, True, True],
    )


def _compared_table(records: ReportRecords) -> list[Block]:
    compared = records.all_of(ComparedRecord)
    if not compared:
        return []
    is_share = records.studies[0].is_share
    rows = [
        [
            _short_name(one, records),
            _format_params(one.params, records, one.study),
            _format_interval(one.validation),
            _format_interval(one.test),
            _format_difference(one.difference, is_share),
            one.verdict,
        ]
        for one in compared
    ]
    strong = frozenset(place for place, one in enumerate(compared) if one.verdict == "leader")
    return [
        Table(
            caption=(
                "Every finalist, in the order of validation. Verdicts are about the test set and "
                "against the leader, adjusted for all comparisons of this table."
            ),
            columns=[
                "configuration",
                "hyperparameters",
                "validation",
                "test",
                "difference from the leader",
                "verdict",
            ],
            rows=rows,
            numeric=[False, False, True, True, True, False],
            strong=strong,
        ),
        Paragraph(_INTERVAL_NOTE, "note"),
    ]


# One study.


def _build_study(study: StudyRecord, records: ReportRecords, environment: Environment) -> Chapter:
    lines = [
        f"Study {study.study} of the experiment {study.experiment}: {study.family} on "
        f"{study.data.name}, {', '.join(study.objectives)}.",
    ]
    if study.source:
        lines.append(f"Source: {study.source}")
    sections = [
        _finalist_section(study, records),
        _tried_section(study, records),
        _search_section(study, records),
        _matters_section(study, records),
        _curve_section(study, records),
        _error_section(study, records),
        _check_section(study),
        _cost_section(study, records),
        _again_section(study, environment),
    ]
    return Chapter(
        title=study.title or study.study,
        anchor=_anchor(study, records, "study"),
        lines=lines,
        summary=_summarize(study, records),
        sections=[one for one in sections if one is not None],
    )


def _anchor(study: StudyRecord, records: ReportRecords, part: str) -> str:
    # Not its name, which may hold anything.
    number = records.report.studies.index(study.study) + 1
    return f"{part}-{number}"


def _file(study: StudyRecord, records: ReportRecords, part: str) -> str:
    if len(records.report.studies) == 1:
        return part
    return _anchor(study, records, part)


def _summarize(study: StudyRecord, records: ReportRecords) -> Summary:
    finalists = records.of(FinalistRecord, study.study)
    leader = next((one for one in finalists if one.verdict == "leader"), None)
    trials = records.of(TrialRecord, study.study)
    data = study.data.name
    question = f"Which configuration of {study.family} is best on {data}, and how sure is that?"
    if study.question is not None:
        question = (
            f"Which {study.question} is best for {study.family} on {data}, and how sure is that?"
        )
    if leader is not None and leader.test is not None:
        return Summary(
            question=question,
            answer=_answer_final(study, leader, records),
            certainty=list(_explain_final(study, leader, finalists)),
            figures=_key_figures(study, leader),
            picture=_finalist_picture(study, records),
            is_final=True,
        )
    return Summary(
        question=question,
        answer=_answer_search(study, records, trials),
        certainty=list(_explain_search(study, trials)),
        figures=_key_figures(study, None),
        picture=_front_picture(study, records)
        if study.pareto
        else _history_picture(study, records),
        is_final=False,
    )


def _answer_final(study: StudyRecord, leader: FinalistRecord, records: ReportRecords) -> str:
    assert leader.test is not None
    baseline = ", a baseline" if leader.baseline else ""
    params = _format_params(leader.params, records, study.study)
    return f"Trial {leader.trial}{baseline}: {params}. {_describe_test(leader.test, study)}"


def _describe_test(test: Interval, study: StudyRecord) -> str:
    examples = study.data.test_examples
    on = "the test set" if examples is None else f"{examples:,} test {study.data.noun}"
    text = f"Its {study.test_metric} on {on} is {format_metric(test.mean)}"
    if test.low is None or test.high is None:
        return f"{text}, of one network."
    return (
        f"{text}, the mean of {format_count(test.seeds, 'seed')} (95 % interval "
        f"{format_metric(test.low)} to {format_metric(test.high)})."
    )


def _explain_final(
    study: StudyRecord, leader: FinalistRecord, finalists: Sequence[FinalistRecord]
) -> Iterator[str]:
    named = [
        (f"trial {one.trial}{' (baseline)' if one.baseline else ''}", one.verdict, one.difference)
        for one in finalists
    ]
    yield from _list_verdicts(named, study.is_share)
    if leader.search_value is not None and leader.validation is not None:
        yield (
            f"The search had scored it {format_metric(leader.search_value)}; trained again on "
            f"fresh seeds its mean on validation is {format_metric(leader.validation.mean)}."
        )
    if study.decision:
        yield from (
            line for line in study.decision if line.startswith(("This budget finds", "No "))
        )
    if study.openings > 1:
        yield (
            f"The test set was opened {format_count(study.openings, 'time')}; later openings are "
            "judged more strictly."
        )
    if study.data.note:
        yield study.data.note


def _list_verdicts(
    named: Sequence[tuple[str, str, Difference | None]], is_share: bool
) -> Iterator[str]:
    """Return one sentence for each verdict on other configurations."""
    same = [name for name, verdict, _ in named if verdict == "not separable"]
    if same:
        yield f"It cannot be told from {_join(same)} on the test set."
    # A verdict is about the other one: what is worse, the leader is better than.
    for verdict, word in (("worse", "better"), ("better", "worse")):
        others = [
            f"{name} ({_format_difference(difference, is_share, flip=True)})"
            for name, found, difference in named
            if found == verdict
        ]
        if others:
            yield f"It is {word} than {_join(others)}."
    unjudged = [name for name, verdict, _ in named if verdict == "not judged"]
    if unjudged:
        yield f"Not judged: {_join(unjudged)}."
    if len(named) == 1:
        yield "Nothing else was trained again, so it is compared with nothing."


def _join(names: Sequence[str]) -> str:
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _answer_search(
    study: StudyRecord, records: ReportRecords, trials: Sequence[TrialRecord]
) -> str:
    if study.pareto:
        return (
            f"{format_count(len(study.pareto), 'trial')} of {_count_tried(study)} are on the Pareto "
            f"front of {' and '.join(text.partition(' ')[2] for text in study.objectives)}: none "
            "of them is better than another in everything."
        )
    best = _find_trial(records, study.study, study.best)
    if best is None or not best.values or best.values[0] is None:
        reasons = Counter(one.state for one in trials if one.state.startswith("failed"))
        text = "There is no answer: no trial is complete."
        if reasons:
            state, count = reasons.most_common(1)[0]
            text += f" {count} of {format_count(len(trials), 'trial')} ended as '{state}'."
        return text
    return (
        f"No configuration is decided on. Trial {best.trial} has the best score of the search: "
        f"{study.metric} {format_metric(best.values[0])} with "
        f"{_format_params(best.params, records, study.study)}. It was trained once, and this is "
        "the score by which it was chosen."
    )


def _explain_search(study: StudyRecord, trials: Sequence[TrialRecord]) -> Iterator[str]:
    if study.unfinished:
        yield study.unfinished
    if study.counts.complete:
        yield (
            "The study was not finalized: the best score of a search is chosen among many, and "
            "flatters. The command 'assay finalize' trains the best again and opens the test set."
        )
    yield from study.claim
    errors = [one.error for one in trials if one.error and one.state.startswith("failed")]
    if errors and not study.counts.complete:
        yield f"The last error: {errors[-1]}"


def _key_figures(study: StudyRecord, leader: FinalistRecord | None) -> list[tuple[str, str]]:
    found = []
    if leader is not None and leader.test is not None:
        found.append((f"test {study.test_metric}", format_metric(leader.test.mean)))
        found.append(("seeds", str(leader.test.seeds)))
    found.append(("trials", str(_count_tried(study))))
    found.append(("test set opened", format_count(study.openings, "time")))
    if study.costs.sweep is not None:
        total = study.costs.sweep + (study.costs.finalize or 0.0)
        found.append(("time", format_duration(total)))
    return found


def _count_tried(study: StudyRecord) -> int:
    counts = study.counts
    return counts.complete + counts.pruned + counts.failed + counts.interrupted


def _find_trial(records: ReportRecords, study: str, number: int | None) -> TrialRecord | None:
    return next((one for one in records.of(TrialRecord, study) if one.trial == number), None)


# Finalists.


def _finalist_section(study: StudyRecord, records: ReportRecords) -> Section | None:
    finalists = records.of(FinalistRecord, study.study)
    if not finalists and not study.decision and not study.unfinished:
        return None
    blocks: list[Block] = []
    if study.unfinished:
        blocks.append(Paragraph(study.unfinished, "warning"))
    if finalists:
        blocks.append(_finalist_table(study, records))
        blocks.append(Paragraph(_INTERVAL_NOTE, "note"))
    if study.decision:
        blocks.append(Items([("", line) for line in study.decision]))
    return Section("Finalists", _anchor(study, records, "finalists"), blocks)


def _finalist_table(study: StudyRecord, records: ReportRecords, folded: bool = False) -> Table:
    finalists = records.of(FinalistRecord, study.study)
    rows = [
        [
            f"{one.trial}{' (baseline)' if one.baseline else ''}",
            _format_params(one.params, records, study.study),
            _format_number(one.search_value),
            _format_interval(one.validation),
            _format_number(one.optimism, signed=True),
            _format_interval(one.test),
            _format_difference(one.difference, study.is_share),
            one.verdict + (f"; {len(one.failed)} failed" if one.failed else ""),
        ]
        for one in finalists
    ]
    strong = frozenset(place for place, one in enumerate(finalists) if one.verdict == "leader")
    return Table(
        caption=(
            "Configurations that were trained again, in the order of validation, which chose the "
            "leader. Optimism: by how much the search flattered."
        ),
        columns=[
            "trial",
            "hyperparameters",
            "in the search",
            "validation",
            "optimism",
            f"test {study.test_metric}",
            "difference from the leader",
            "verdict",
        ],
        rows=rows,
        numeric=[False, False, True, True, True, True, True, False],
        strong=strong,
        folded=folded,
    )


def _finalist_picture(study: StudyRecord, records: ReportRecords) -> Picture:
    finalists = records.of(FinalistRecord, study.study)
    return Picture(
        name=_file(study, records, "finalists"),
        caption=(
            f"{study.test_metric.capitalize()} on the test set, mean over the seeds with its 95 % "
            "interval; diamonds: the score by which the search chose. Vermillion is worse than the "
            "leader, grey cannot be told from it."
        ),
        alt=f"{format_count(len(finalists), 'finalist')} with their intervals on the test set.",
        svg=figures.draw_finalists(study, finalists),
    )


# What was tried.


def _tried_section(study: StudyRecord, records: ReportRecords) -> Section:
    counts = study.counts
    trials = records.of(TrialRecord, study.study)
    rows = [
        ["tried", str(_count_tried(study))],
        ["complete", str(counts.complete)],
        ["pruned", str(counts.pruned)],
        ["failed", str(counts.failed)],
        ["interrupted", str(counts.interrupted)],
        *([["running", str(counts.running)]] if counts.running else []),
        ["openings of the test set", str(study.openings)],
    ]
    blocks: list[Block] = [
        Table(
            "The denominator: all trials, and all looks at the test set.",
            ["", "number"],
            rows,
            [False, True],
        )
    ]
    failures = Counter(one.state for one in trials if one.state.startswith("failed"))
    if failures:
        errors = {one.state: one.error for one in trials if one.error}
        blocks.append(
            Table(
                "Failed trials by reason, with the last error of each.",
                ["reason", "trials", "last error"],
                [
                    [state, str(count), errors.get(state, "")]
                    for state, count in failures.most_common()
                ],
                [False, True, False],
            )
        )
    baselines = [one for one in trials if one.baseline]
    if baselines:
        text = "; ".join(
            f"trial {one.trial} ({_format_params(one.params, records, study.study)}): "
            f"{_format_number(one.values[0]) if one.values and one.values[0] is not None else one.state}"
            for one in baselines
        )
        blocks.append(Paragraph(f"Baseline in the search: {text}."))
    else:
        blocks.append(Paragraph("The experiment has no baseline."))
    if study.random_search is not None:
        blocks.append(Paragraph(study.random_search.sentence))
    elif study.sampler != "random":
        blocks.append(
            Paragraph(
                "No random search of the same space was run beside it, so what the sampler gained is not known."
            )
        )
    blocks.append(Items([("Not tried", line) for line in study.untried]))
    return Section("What was tried", _anchor(study, records, "tried"), blocks)


# The search.


def _search_section(study: StudyRecord, records: ReportRecords) -> Section | None:
    trials = records.of(TrialRecord, study.study)
    space = records.of(HyperparameterRecord, study.study)
    if not trials:
        return None
    is_shown = _is_first_screen(study, records)
    blocks: list[Block] = []
    if is_shown != "history":
        blocks.append(_history_picture(study, records))
    if study.pareto and is_shown != "front":
        blocks.append(_front_picture(study, records))
    lines = figures.choose_lines(study, trials)
    if space and len(lines) > 1:
        left_out = len(_measured(trials)) - len(lines)
        blocks.append(
            Picture(
                name=_file(study, records, "parallel"),
                caption=(
                    "Each line is a trial, from its hyperparameters, each on the scale on which it "
                    f"was searched, to its {study.objectives[0].partition(' ')[2]}; the brighter, "
                    "the better; thin lines were pruned."
                    + (f" {left_out} middling and poor trials are left out." if left_out else "")
                ),
                alt=f"Parallel coordinates of {len(lines)} trials.",
                svg=figures.draw_parallel(study, space, trials),
                wide=True,
            )
        )
    blocks.append(_space_table(space))
    blocks.append(_trial_table(study, records))
    return Section("The search", _anchor(study, records, "search"), blocks)


def _is_first_screen(study: StudyRecord, records: ReportRecords) -> str:
    """Return which figure the first screen has already."""
    leader = [one for one in records.of(FinalistRecord, study.study) if one.verdict == "leader"]
    if leader and leader[0].test is not None:
        return "finalists"
    return "front" if study.pareto else "history"


def _measured(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [
        one
        for one in trials
        if one.state in ("complete", "pruned") and one.values and one.values[0] is not None
    ]


def _history_picture(study: StudyRecord, records: ReportRecords) -> Picture | None:
    trials = records.of(TrialRecord, study.study)
    if not _measured(trials):
        return None
    return Picture(
        name=_file(study, records, "history"),
        caption=(
            f"{study.objectives[0].partition(' ')[2]} of each trial in the order of the search; the "
            "line is the best so far."
        ),
        alt=(
            f"History of {format_count(len(trials), 'trial')}: "
            f"{format_state_counts(study.counts.model_dump(exclude={'running'}))}."
        ),
        svg=figures.draw_history(study, trials),
    )


def _front_picture(study: StudyRecord, records: ReportRecords) -> Picture:
    trials = records.of(TrialRecord, study.study)
    front = [one for one in trials if one.trial in study.pareto]
    names = [text.partition(" ")[2] for text in study.objectives]
    return Picture(
        name=_file(study, records, "front"),
        caption="Complete trials by the first two objectives, and the Pareto front.",
        alt=f"Pareto front of {format_count(len(front), 'trial')}.",
        svg=figures.draw_front(study, trials),
        numbers=Table(
            "The Pareto front.",
            ["trial", *names, "hyperparameters"],
            [
                [
                    str(one.trial),
                    *(_format_number(value) for value in one.values),
                    _format_params(one.params, records, study.study),
                ]
                for one in front
            ],
            [True, *(True for _ in names), False],
        ),
    )


def _space_table(space: Sequence[HyperparameterRecord]) -> Table:
    rows = []
    for one in space:
        if one.choices:
            values = ", ".join(map(format_param, one.choices))
        else:
            step = "" if one.step is None or one.step == 1 else f", step {one.step:g}"
            values = f"{_format_end(one.low)} to {_format_end(one.high)}{step}"
        kind = "choices" if one.choices else "whole numbers" if one.integer else "numbers"
        scale = "logarithmic" if one.log else "" if one.choices else "linear"
        rows.append([one.name, kind, values, scale, one.when])
    return Table(
        "The space that was searched.",
        ["hyperparameter", "kind", "values", "scale", "when"],
        rows,
        [False] * 5,
        folded=True,
    )


def _format_end(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _trial_table(study: StudyRecord, records: ReportRecords) -> Table:
    trials = records.of(TrialRecord, study.study)
    names = [one.name for one in records.of(HyperparameterRecord, study.study)]
    metrics = [text.partition(" ")[2] for text in study.objectives]
    shown = trials[:_MOST_TRIAL_ROWS]
    rows = [
        [
            str(one.trial),
            one.state,
            *_pad([_format_number(value) for value in one.values], len(metrics)),
            *(format_param(one.params[name]) if name in one.params else "" for name in names),
            str(one.epochs),
            "" if one.train_seconds is None else f"{one.train_seconds:.1f}",
        ]
        for one in shown
    ]
    more = "" if len(shown) == len(trials) else f" The first {len(shown)}; records.jsonl has all."
    best = [place for place, one in enumerate(shown) if one.trial in (study.best, *study.pareto)]
    return Table(
        f"All {format_count(len(trials), 'trial')}.{more}",
        ["trial", "state", *metrics, *names, "epochs", "seconds"],
        rows,
        [True, False, *(True for _ in metrics), *(True for _ in names), True, True],
        strong=frozenset(best),
        folded=True,
    )


def _pad(texts: list[str], width: int) -> list[str]:
    return [*texts, *[""] * (width - len(texts))][:width]


# What matters.


def _matters_section(study: StudyRecord, records: ReportRecords) -> Section | None:
    blocks: list[Block] = [
        *_isolation_blocks(study, records),
        *_importance_blocks(study, records),
        *_expected_best_blocks(study, records),
    ]
    if not blocks:
        return None
    return Section("What matters", _anchor(study, records, "matters"), blocks)


def _isolation_blocks(study: StudyRecord, records: ReportRecords) -> Iterator[Block]:
    groups = records.of(IsolationRecord, study.study)
    if not groups:
        if study.question is not None:
            yield Paragraph(f"Too few complete trials to isolate {study.question}.")
        return
    yield Picture(
        name=_file(study, records, "isolation"),
        caption=(
            f"The question of this search: the best {study.metric} over everything else for each "
            f"value of {groups[0].name}. The interval is where that one network's value on new "
            "examples lies (95 %, corrected for having been chosen); more trials of a value make "
            "its best look better."
        ),
        alt="; ".join(f"{one.group}: {format_metric(one.best)}" for one in groups),
        svg=figures.draw_isolation(study, groups),
        numbers=Table(
            f"Best over everything else by {groups[0].name}.",
            [groups[0].name, "complete trials", "best", "interval", "trial"],
            [
                [
                    one.group,
                    str(one.trials),
                    format_metric(one.best),
                    _format_range(one.low, one.high),
                    str(one.trial),
                ]
                for one in groups
            ],
            [False, True, True, True, True],
        ),
    )


def _importance_blocks(study: StudyRecord, records: ReportRecords) -> Iterator[Block]:
    shares = records.of(ImportanceRecord, study.study)
    effects = records.of(EffectRecord, study.study)
    for number, objective in enumerate(study.objectives):
        metric = objective.partition(" ")[2]
        of_metric = [one for one in shares if one.metric == metric]
        suffix = "" if number == 0 else f"-{number + 1}"
        if metric in study.importance:
            yield Paragraph(f"Importance for {metric}: {study.importance[metric]}.")
        if of_metric:
            yield Picture(
                name=_file(study, records, "importance") + suffix,
                caption=_importance_caption(of_metric),
                alt="; ".join(f"{one.name} {one.share:.2f}" for one in of_metric),
                svg=figures.draw_importance(of_metric),
                numbers=Table(
                    f"Importance for {metric}.",
                    ["hyperparameter", "share", "95 % interval", "p", "shown"],
                    [
                        [
                            one.name,
                            f"{one.share:.2f}",
                            _format_range(one.low, one.high),
                            "" if one.p_value is None else f"{one.p_value:.3f}",
                            "no" if one.passed is False else "yes",
                        ]
                        for one in of_metric
                    ],
                    [False, True, True, True, False],
                ),
            )
        by_name: dict[str, list[EffectRecord]] = {}
        for one in effects:
            if one.metric == metric:
                by_name.setdefault(one.name, []).append(one)
        if by_name:
            yield Picture(
                name=_file(study, records, "effects") + suffix,
                caption=(
                    f"Mean {metric} of the complete trials by group, with one standard deviation: "
                    "what was observed, not what is shown to matter; the sampler chose what to try."
                ),
                alt=f"Effects of {', '.join(by_name)}.",
                svg=figures.draw_effects(by_name, metric),
                numbers=Table(
                    f"Effects on {metric}.",
                    ["hyperparameter", "group", "complete trials", "mean", "standard deviation"],
                    [
                        [
                            one.name,
                            one.group,
                            str(one.trials),
                            format_metric(one.mean),
                            _format_number(one.sd),
                        ]
                        for groups in by_name.values()
                        for one in groups
                    ],
                    [False, False, True, True, True],
                ),
            )


def _importance_caption(shares: Sequence[ImportanceRecord]) -> str:
    if shares[0].evaluator != "ranks":
        return f"Importance by {shares[0].evaluator}, an estimate without a test."
    return (
        "Share of the variance of the ranks that each hyperparameter explains by itself, with its "
        "95 % interval. Pale bars were not told from chance by the permutation test."
    )


def _expected_best_blocks(study: StudyRecord, records: ReportRecords) -> Iterator[Block]:
    points = records.of(ExpectedBestRecord, study.study)
    if study.expected_best:
        yield Paragraph(study.expected_best)
    if points:
        yield Picture(
            name=_file(study, records, "expected-best"),
            caption=study.expected_best_note,
            alt=(
                f"Median of the best of {points[-1].trials} random trials: "
                f"{format_metric(points[-1].median)}."
            ),
            svg=figures.draw_expected_best(study, points),
            numbers=Table(
                "The best value to expect of a number of random trials.",
                ["trials", "median", "95 % band"],
                [
                    [str(one.trials), format_metric(one.median), _format_range(one.low, one.high)]
                    for one in points
                ],
                [True, True, True],
                folded=True,
            ),
        )


# Finalists again.


def _curve_section(study: StudyRecord, records: ReportRecords) -> Section | None:
    grouped: dict[int, list[TrainingRecord]] = {}
    for one in records.of(TrainingRecord, study.study):
        grouped.setdefault(one.trial, []).append(one)
    order = [one.trial for one in records.of(FinalistRecord, study.study)]
    trainings = {trial: grouped[trial] for trial in order if trial in grouped}
    known = {name for group in trainings.values() for one in group for name in one.curves}
    metrics = [name for name in dict.fromkeys((study.metric, "val_loss")) if name in known]
    if not metrics:
        return None
    blocks: list[Block] = [
        Picture(
            name=_file(study, records, f"curves-{'loss' if metric == 'val_loss' else 'metric'}"),
            caption=(
                f"{metric} by epoch: mean over the seeds, and a band from the lowest to the highest"
                " seed. Dotted: the same on the training examples."
            ),
            alt=f"Learning curves of {format_count(len(trainings), 'finalist')}.",
            svg=figures.draw_curves(study, metric, trainings),
        )
        for metric in metrics
    ]
    blocks.append(
        Table(
            "All trainings of the finalists.",
            [
                "trial",
                "training",
                "seed",
                "state",
                study.metric,
                f"test {study.test_metric}",
                "run in MLflow",
            ],
            [
                [
                    str(one.trial),
                    str(one.training),
                    str(one.seed),
                    one.state,
                    _format_number(one.validation),
                    _format_number(one.test.get(f"test_{study.test_metric}")),
                    one.run_id or "",
                ]
                for group in trainings.values()
                for one in group
            ],
            [True, True, True, False, True, True, False],
            folded=True,
        )
    )
    return Section("Learning curves", _anchor(study, records, "curves"), blocks)


def _error_section(study: StudyRecord, records: ReportRecords) -> Section | None:
    classes = records.of(ClassRecord, study.study)
    examples = records.of(ExampleRecord, study.study)
    if not classes and not examples:
        return None
    blocks: list[Block] = []
    if classes:
        shown = figures.choose_classes(classes)
        left_out = len(classes) - len(shown)
        blocks.append(
            Picture(
                name=_file(study, records, "confusion"),
                caption=(
                    "Confusion matrix of the leader on the test set, in percent of each class, all "
                    "seeds together; errors are colored."
                    + (f" The {len(shown)} classes with the most errors." if left_out else "")
                ),
                alt="; ".join(_worst_confusions(classes)) or "No errors.",
                svg=figures.draw_confusion(classes),
            )
        )
        blocks.append(_class_table(classes))
    if examples:
        caption = "Test examples that most of the leader's networks take for another class."
        if study.examples_note:
            caption += f" {study.examples_note}"
        blocks.append(Gallery(caption, examples))
    return Section("Errors of the leader", _anchor(study, records, "errors"), blocks)


def _worst_confusions(classes: Sequence[ClassRecord]) -> list[str]:
    found = [
        (count, one.label, classes[place].label)
        for row, one in enumerate(classes)
        for place, count in enumerate(one.predicted)
        if place != row and count
    ]
    found.sort(key=lambda item: -item[0])
    return [f"{label} taken for {other}: {count} times" for count, label, other in found[:3]]


def _class_table(classes: Sequence[ClassRecord]) -> Table:
    shown = sorted(classes, key=lambda one: one.f1)[:_MOST_CLASS_ROWS]
    more = "" if len(shown) == len(classes) else f" The {len(shown)} worst of {len(classes)}."
    return Table(
        "The leader by class on the test set, mean over the seeds, the worst class first; range: "
        f"recall of the worst and the best seed.{more}",
        ["class", "examples", "precision", "recall", "range", "F1"],
        [
            [
                one.label,
                f"{one.examples:,}",
                f"{one.precision:.3f}",
                f"{one.recall:.3f}",
                f"{one.recall_low:.3f} to {one.recall_high:.3f}",
                f"{one.f1:.3f}",
            ]
            for one in shown
        ],
        [False, True, True, True, True, True],
    )


# Checks, cost, and how to run it again.


def _check_section(study: StudyRecord) -> Section:
    blocks: list[Block] = [Paragraph(line, "warning") for line in study.warnings]
    fired = [check for check in study.checks if check.fired]
    if fired:
        blocks.append(Items([(check.name, check.text) for check in fired]))
    elif study.checks:
        blocks.append(Paragraph("No check fires."))
    words = {True: "fires", False: "passes", None: "not applicable"}
    if study.checks:
        blocks.append(
            Table(
                f"All {format_count(len(study.checks), 'check')}.",
                ["check", "result", "what it found"],
                [[check.name, words[check.fired], check.text] for check in study.checks],
                [False, False, False],
                folded=True,
            )
        )
    if study.facts:
        blocks.append(Items([_split_fact(line) for line in study.facts]))
    data = study.data
    if data.note:
        blocks.append(Paragraph(data.note, "warning"))
    return Section("Checks, data and model", "", blocks)


def _split_fact(line: str) -> tuple[str, str]:
    name, colon, text = line.partition(": ")
    return (name, text) if colon and len(name) <= 20 else ("", line)


def _cost_section(study: StudyRecord, records: ReportRecords) -> Section:
    costs = study.costs
    rows = [
        [name, _format_seconds(value, ""), "" if value is None else f"{value:,.0f}"]
        for name, value in (
            ("search, from start to end", costs.sweep),
            ("finalize, from start to end", costs.finalize),
            ("training of all trials, summed over workers", costs.training),
            ("training of all finalists, summed over workers", costs.finalist_training),
        )
        if value is not None
    ]
    blocks: list[Block] = []
    if rows:
        blocks.append(
            Table("Time that it took.", ["", "time", "seconds"], rows, [False, True, True])
        )
    else:
        blocks.append(Paragraph("What it took is not recorded."))
    machine = [(name, value) for name, value in study.execution.items()]
    if machine:
        blocks.append(Items(machine))
    return Section("Cost", _anchor(study, records, "cost"), blocks)


def _again_section(study: StudyRecord, environment: Environment) -> Section:
    blocks: list[Block] = []
    if study.commands:
        lines = [
            f"{one.line}    # {_PURPOSES.get(one.purpose, one.purpose)}" for one in study.commands
        ]
        blocks.append(Code("\n".join(lines), "What was typed, and what to type.", "sh"))
    stages = [one for one in environment.stages if one.study == study.study]
    rows = [
        [name, *(stage.settings.get(name, "") for stage in stages)]
        for name in dict.fromkeys(name for stage in stages for name in stage.settings)
    ]
    if rows:
        blocks.append(
            Table(
                "What it ran in; environment.json has all packages.",
                ["", *(stage.stage for stage in stages)],
                rows,
                [False, *(False for _ in stages)],
                folded=True,
            )
        )
    data = study.data
    facts = [
        ("data", f"{data.name}, digest {data.digest}"),
        ("published copy", data.verified),
        ("seed of the study", "not recorded" if study.seed is None else str(study.seed)),
        ("sampler and pruner", f"{study.sampler}, {study.pruner}"),
    ]
    blocks.append(Items(facts))
    if study.fixed:
        blocks.append(
            Table(
                "Hyperparameters that were fixed.",
                ["name", "value"],
                [[name, format_param(value)] for name, value in study.fixed.items()],
                [False, False],
                folded=True,
            )
        )
    if study.toml:
        blocks.append(
            Code(study.toml, "The experiment, with everything that was set.", "toml", True)
        )
    return Section("Run it again", "", blocks)


# Numbers.


def _format_params(params: Mapping[str, Any], records: ReportRecords, study: str | None) -> str:
    """Return the hyperparameters that were searched, in the order of the space."""
    space = [] if study is None else records.of(HyperparameterRecord, study)
    names = [one.name for one in space if one.name in params] or list(params)
    return ", ".join(f"{name} {format_param(params[name])}" for name in names)


def _format_number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return ""
    return f"{value:+.4f}" if signed and abs(value) < 100 else format_metric(value)


def _format_interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    spread = _format_range(interval.low, interval.high)
    return f"{format_metric(interval.mean)} [{spread}]" if spread else format_metric(interval.mean)


def _format_range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return " to ".join("?" if end is None else format_metric(end) for end in (low, high))


def _format_difference(difference: Difference | None, is_share: bool, flip: bool = False) -> str:
    """Return a difference with its interval; `flip` takes the other point of view."""
    if difference is None or difference.mean is None:
        return ""
    scale, unit = (100.0, " points") if is_share else (1.0, "")
    mean = -difference.mean if flip else difference.mean
    text = f"{scale * mean:+.2f}"
    if difference.low is None or difference.high is None:
        return f"{text}{unit}"
    half = scale * (difference.high - difference.low) / 2
    return f"{text} ± {half:.2f}{unit}"


def _format_seconds(seconds: float | None, missing: str = "") -> str:
    return missing if seconds is None else format_duration(seconds)
