"""The chapter about several studies: a benchmark table across them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.experiments.formatting import format_count, format_metric
from assay.experiments.report.page import figures
from assay.experiments.report.page.cells import (
    INTERVAL_NOTE,
    capitalize,
    drop_empty_columns,
    format_difference,
    format_interval,
    format_number,
    format_p_value,
    format_time,
    join_params,
    list_params,
    name_test_metric,
    shorten,
    verdict_badge,
)
from assay.experiments.report.page.document import (
    Badge,
    Block,
    Cell,
    Chapter,
    Code,
    Paragraph,
    Picture,
    Section,
    Summary,
    Table,
    columns,
)
from assay.experiments.report.page.summary import (
    decide_badge,
    describe_intervals,
    describe_verdicts,
    join_some,
    name_test_examples,
    name_time,
)
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    ComparedRecord,
    ReferenceRecord,
    ReportRecord,
    ReportRecords,
)

_NO_VERDICT = (
    "Intervals of two different studies make no verdict, whether they overlap or not: 'assay "
    "compare' makes one, of studies with the same test set."
)


def build_comparison(records: ReportRecords, views: Sequence[StudyView]) -> Chapter:
    """Return the chapter about all studies of a report."""
    compared = records.all_of(ComparedRecord)
    leader = next((one for one in compared if one.verdict == "leader" and one.test), None)
    summary = (
        _summarize_open(records, views)
        if leader is None
        else _summarize_compared(records, views, compared, leader)
    )
    blocks: list[Block] = [
        drop_empty_columns(_study_table(views, compared)),
        drop_empty_columns(_cost_table(views)),
    ]
    if compared:
        blocks += [
            _compared_table(records.report, views, compared),
            Paragraph(INTERVAL_NOTE, "note"),
        ]
    else:
        blocks.append(Paragraph(_NO_VERDICT, "note"))
    sections = [Section("All studies", blocks)]
    references = records.all_of(ReferenceRecord)
    if references:
        sections.append(Section("References", list(_reference_blocks(references, compared))))
    return Chapter("All studies together", "comparison", [], summary, sections)


def _ask(views: Sequence[StudyView]) -> str:
    names = list(dict.fromkeys(shorten(view.study.data.name) for view in views))
    return f"Which of these models is best for {' and for '.join(names)}, and how sure is that?"


def _data_notes(views: Sequence[StudyView]) -> list[str]:
    """Return what makes the data another than the published one, each text once."""
    return list(dict.fromkeys(view.study.data.note for view in views if view.study.data.note))


def _summarize_compared(
    records: ReportRecords,
    views: Sequence[StudyView],
    compared: Sequence[ComparedRecord],
    leader: ComparedRecord,
) -> Summary:
    first = _first_compared(views, compared)
    assert leader.test is not None
    named = [
        (
            f"{shorten(one.name)}{' (a baseline)' if one.baseline else ''}",
            one.verdict,
            one.difference,
        )
        for one in compared
    ]
    shown = [one for one in compared if one.test is not None]
    measured = (
        f"{format_metric(leader.test.mean)} {name_test_metric(first.study.test_metric)} on "
        f"{name_test_examples(first.study)}."
    )
    return Summary(
        status=decide_badge(
            [
                (shorten(one.name), one.verdict, _name_role(one, leader) if one.baseline else "")
                for one in compared
            ]
        ),
        question=_ask(views),
        answer=_answer(compared, leader) or f"{shorten(leader.name)}: {measured}",
        configuration=_params_of(leader, views),
        explanation=" ".join(
            (
                f"{shorten(leader.name)} leads: {measured}",
                describe_intervals(leader.test, leader.generalization),
                *describe_verdicts(named, in_points=first.is_in_points),
            )
        ),
        certainty=[
            *_data_notes(views),
            *records.report.comparison,
            *_judge_searches(views),
        ],
        facts=_list_facts(views, compared),
        picture=Picture(
            name="comparison",
            caption=(
                f"{capitalize(name_test_metric(first.study.test_metric))} of every finalist on the "
                "same test set: mean over the seeds and its 95 % interval over new seeds. Blue "
                "leads, grey is not separable from it or was not judged, vermillion is worse, "
                "green is better, purple is a reference. The leader first, then by validation."
            ),
            alt="; ".join(
                f"{shorten(one.name)}: {format_interval(one.test)}, {one.verdict}" for one in shown
            ),
            svg=figures.draw_compared(compared, first.study.test_metric),
            numbers=Table(
                f"Test {first.study.test_metric}.",
                columns("configuration", "#test", "verdict"),
                [[one.name, format_interval(one.test), one.verdict] for one in shown],
            ),
        ),
    )


def _answer(compared: Sequence[ComparedRecord], leader: ComparedRecord) -> str | None:
    """Return what is not decided; None if the leader is better than all others."""
    tied = [one for one in compared if one.verdict == "not separable"]
    if not tied:
        return None
    others = [one for one in compared if one is not leader and one not in tied]
    is_of_study = leader.study is not None and all(one.study == leader.study for one in tied)
    if is_of_study and others and all(one.verdict == "worse" for one in others):
        return f"{shorten(leader.study or '')} is best; which of its configurations is not decided."
    names = [shorten(one.name) for one in (leader, *tied)]
    return f"Not decided between {join_some(names)}."


def _name_role(baseline: ComparedRecord, leader: ComparedRecord) -> str:
    return "its own baseline" if baseline.study == leader.study else "a baseline"


def _judge_searches(views: Sequence[StudyView]) -> Iterator[str]:
    """Yield whether the search of each study was worth it: its leader beside its own baseline."""
    judged = [f"{view.study.study} {text}" for view in views if (text := _against_baseline(view))]
    if judged:
        yield (
            "Was the search worth it? The leader of each study against the study's own baseline, "
            f"by the verdicts of its finalize: {'; '.join(judged)}."
        )


def _against_baseline(view: StudyView) -> str:
    """Return by how much the leader of a study is better than its baseline, with the verdict."""
    if view.leader is None:
        return ""
    if view.leader.baseline:
        return "the baseline leads"
    baseline = next((one for one in view.finalists if one.baseline), None)
    if baseline is None or baseline.difference is None:
        return ""
    difference = format_difference(baseline.difference.negated, in_points=view.is_in_points)
    verdict = {"worse": "better", "better": "worse"}.get(baseline.verdict, baseline.verdict)
    p_value = format_p_value(baseline.difference)
    return f"{difference}, {verdict}{f' (adjusted p {p_value})' if p_value else ''}"


def _first_compared(views: Sequence[StudyView], compared: Sequence[ComparedRecord]) -> StudyView:
    """Return the first study that is compared: all that are have one metric and one test set."""
    studies = {one.study for one in compared}
    return next((view for view in views if view.study.study in studies), views[0])


def _summarize_open(records: ReportRecords, views: Sequence[StudyView]) -> Summary:
    reason = records.report.not_compared
    finalized = sum(view.leader is not None for view in views)
    answer = f"{finalized} of {format_count(len(views), 'study', 'studies')} are finalized; "
    known = [view for view in views if view.leader is not None or _best_value(view) is not None]
    return Summary(
        status=Badge("not compared", "open"),
        question=_ask(views),
        answer=f"{answer}no verdict is made across them.",
        configuration=[],
        explanation=" ".join(
            (f"{capitalize(reason.rstrip('.'))}." if reason else "", _NO_VERDICT)
        ).strip(),
        certainty=_data_notes(views),
        facts=_list_facts(views, ()),
        picture=_leader_picture(known) if known else None,
    )


def _list_facts(
    views: Sequence[StudyView], compared: Sequence[ComparedRecord]
) -> list[tuple[str, str]]:
    known = [view.seconds for view in views if view.seconds is not None]
    return [
        ("studies", str(len(views))),
        ("trials", f"{sum(view.tried for view in views):,}"),
        *([("configurations compared", str(len(compared)))] if compared else []),
        # A sum without the studies whose time is not recorded would be no total.
        *([(name_time(views), format_time(sum(known)))] if len(known) == len(views) else []),
    ]


def _best_value(view: StudyView) -> float | None:
    best = view.best
    return best.values[0] if best is not None and best.values else None


def _best_in_search(view: StudyView, *, with_name: bool) -> str:
    value = format_number(_best_value(view))
    return f"{value} ({shorten(view.study.metric)})" if value and with_name else value


def _is_on_test_scale(view: StudyView) -> bool:
    return view.study.metric.removeprefix("val_") == view.study.test_metric


def _leader_picture(views: Sequence[StudyView]) -> Picture:
    panels: dict[str, list[StudyView]] = {}
    for view in views:
        panels.setdefault(view.study.data.name, []).append(view)
    rows = [
        [
            view.study.study,
            view.study.data.name,
            "" if view.leader is None else format_interval(view.leader.test),
            format_number(_best_value(view)),
        ]
        for group in panels.values()
        for view in group
    ]
    return Picture(
        name="leaders",
        caption=(
            "The leader of each study on the test set: mean over its seeds and its 95 % "
            "interval, a panel for each data set. Hollow: a study that is not finalized, by the "
            "best score of its search."
        ),
        alt="; ".join(f"{study}: {test or value}" for study, _, test, value in rows),
        svg=figures.draw_leaders(
            {
                name: [
                    (
                        view.study,
                        view.leader,
                        _best_value(view) if _is_on_test_scale(view) else None,
                    )
                    for view in group
                ]
                for name, group in panels.items()
            }
        ),
        numbers=Table(
            "Leaders on the test set, and the best scores of the searches.",
            columns("study", "data", "#test", "#best in the search"),
            rows,
        ),
    )


def _params_of(one: ComparedRecord, views: Sequence[StudyView]) -> list[tuple[str, str]]:
    view = next((view for view in views if view.study.study == one.study), None)
    return list_params(one.params, []) if view is None else view.params(one.params)


def _study_table(views: Sequence[StudyView], compared: Sequence[ComparedRecord]) -> Table:
    verdicts = {(one.study, one.trial): one for one in compared}
    rows: list[list[Cell]] = []
    metrics = " or ".join(dict.fromkeys(view.study.test_metric for view in views))
    searched = list(dict.fromkeys(view.study.metric for view in views))
    data = {view.study.data.name for view in views}
    for view in views:
        study, leader = view.study, view.leader
        found = None if leader is None else verdicts.get((study.study, leader.trial))
        best = view.best
        params = leader.params if leader is not None else best.params if best is not None else {}
        rows.append(
            [
                study.study,
                "" if found is None else verdict_badge(found.verdict),
                shorten(study.data.name) if len(data) > 1 else "",
                shorten(study.family),
                "not finalized" if leader is None else format_interval(leader.test),
                ""
                if found is None
                else format_difference(found.difference, in_points=view.is_in_points),
                _against_baseline(view),
                _best_in_search(view, with_name=len(searched) > 1),
                join_params(view.params(params)),
            ]
        )
    strong = [
        place
        for place, row in enumerate(rows)
        if isinstance(row[1], Badge) and row[1].text == "leader"
    ]
    return Table(
        "One row per study: its leader, or the best of its search if it was not finalized. The "
        "best value in the search is that of one training. In bold: the leader of all.",
        columns(
            "study",
            "verdict",
            "data",
            "model",
            f"#test {metrics}",
            "#against the leader of all",
            "#leader against its own baseline",
            f"#best {searched[0]} in the search" if len(searched) == 1 else "#best in the search",
            "hyperparameters",
        ),
        rows,
        frozenset(strong),
        stacked=True,
    )


def _cost_table(views: Sequence[StudyView]) -> Table:
    rows = []
    for view in views:
        leader, costs = view.leader, view.study.costs
        seconds = None if leader is None else leader.epoch_seconds
        rows.append(
            [
                view.study.study,
                f"{view.tried:,}",
                format_time(costs.sweep),
                format_time(costs.finalize),
                "" if leader is None or leader.parameters is None else f"{leader.parameters:,}",
                "" if seconds is None else f"{seconds:.3g}",
            ]
        )
    return Table(
        "What each study took: wall time of search and finalize, and of its leader the number of "
        "parameters and the median seconds of an epoch.",
        columns("study", "#trials", "#search", "#finalize", "#parameters", "#seconds per epoch"),
        rows,
    )


def _compared_table(
    report: ReportRecord, views: Sequence[StudyView], compared: Sequence[ComparedRecord]
) -> Table:
    first = _first_compared(views, compared)
    adjusted = ""
    if report.comparisons and report.level is not None:
        adjusted = (
            " An interval is that of one difference by itself. What decides is p, adjusted (Holm) "
            f"for all {format_count(report.comparisons, 'pair')} of configurations, of which those "
            f"with the leader are shown: below {report.level:g}."
        )
    return Table(
        "Every finalist, best validation first. The verdicts are about the test set and against "
        f"the leader of all.{adjusted} In bold: that leader.",
        columns(
            "configuration",
            "verdict",
            f"#test {first.study.test_metric}",
            f"#against the leader, test {first.study.test_metric}",
            "#p, adjusted",
            f"#{first.study.metric}, new seeds",
            "hyperparameters",
        ),
        [
            [
                f"{shorten(one.name)}{' (baseline)' if one.baseline else ''}",
                verdict_badge(one.verdict),
                format_interval(one.test),
                format_difference(one.difference, in_points=first.is_in_points),
                format_p_value(one.difference),
                format_interval(one.validation),
                join_params(_params_of(one, views)),
            ]
            for one in compared
        ],
        frozenset(place for place, one in enumerate(compared) if one.verdict == "leader"),
        stacked=True,
    )


def _reference_blocks(
    references: Sequence[ReferenceRecord], compared: Sequence[ComparedRecord]
) -> Iterator[Block]:
    found = {one.name: one for one in compared if one.study is None}
    yield Table(
        "Models that Assay did not train, measured on the same test set.",
        columns("reference", "how it was chosen and trained", "#test", "#one training"),
        [
            [
                one.name,
                one.description,
                format_interval(found[one.name].test) if one.name in found else "not compared",
                format_time(one.seconds),
            ]
            for one in references
        ],
        stacked=True,
    )
    lines = dict.fromkeys(one.command for one in references if one.command)
    if lines:
        yield Code("\n".join(lines), "The commands that measured them.", "sh")
