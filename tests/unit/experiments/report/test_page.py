"""The page of a report and its Markdown twin, of every kind of records."""

from __future__ import annotations

import base64
import functools
import itertools
import re
from xml.etree import ElementTree

import pytest

from assay.experiments.formatting import format_with_margin
from assay.experiments.report.page.comparison import build_comparison
from assay.experiments.report.page.render import render
from assay.experiments.report.page.summary import decide_badge, join_some, summarize
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    ClassRecord,
    ComparedRecord,
    Difference,
    FinalistRecord,
    ReportRecords,
    StudyRecord,
    TrialRecord,
)
from assay.experiments.terminal_text import escape_text
from tests.helpers.html_pages import ParsedPage
from tests.helpers.report_records import (
    COLLECTED,
    KINDS,
    environment_of,
    failing,
    finalized,
    hostile_strings,
    replace_texts,
    unfinished,
)

MOST_BYTES = 1_500_000

# What the first screen of each kind must say.
FIRST_WORDS = {
    "finalized": [
        "accuracy on the 2,000 test images.",
        "mean of 5 networks",
        "Trial 0 is worse than trial",
    ],
    "asking": ["Which activation is best", "Best val_accuracy of the search for each activation"],
    "unfinished": [
        "Not decided.",
        "This is the score of the search: one training, the best of 40 trials",
        "assay finalize searched",
    ],
    "pareto-finalized": ["leads by val_accuracy alone.", "on the Pareto front were trained again."],
    "pareto": ["are on the Pareto front.", "assay finalize pareto"],
    "regression": ["mean absolute error on the 2,000 test examples."],
    "failing": [
        "No answer: none of 8 trials was trained to its end.",
        "The most frequent reason is 'diverged': 6 of 8 trials.",
        "a metric is not finite: {'loss': nan}",
    ],
    "empty": ["No answer: no trial is complete.", "No trial was run."],
}


@functools.cache
def files_of(kind: str) -> dict[str, bytes]:
    records = KINDS[kind]()
    return render(records, environment_of(records))


def page_of(files: dict[str, bytes]) -> ParsedPage:
    return ParsedPage(files["report.html"].decode())


def render_changed(records: ReportRecords, **changes: object) -> dict[str, bytes]:
    """Return the files of a report with another record of its only study."""
    study = records.studies[0].model_copy(update=changes)
    others = [one for one in records.records if not isinstance(one, StudyRecord)]
    changed = ReportRecords(records.report, (study, *others))
    return render(changed, environment_of(changed))


@pytest.mark.parametrize("kind", FIRST_WORDS)
def test_each_kind_of_study_has_a_first_screen_sections_and_figures_in_words(kind: str) -> None:
    files = files_of(kind)
    page = page_of(files)
    check_sections(kind, files, page)
    check_figures(files, page)


def check_sections(kind: str, files: dict[str, bytes], page: ParsedPage) -> None:
    first = page.words[: page.words.index("What was not tried")]
    assert [words for words in FIRST_WORDS[kind] if words not in first] == []
    is_finalized = any(one.test for one in KINDS[kind]().all_of(FinalistRecord))
    checks = "Checks of the search, data and model" if is_finalized else "Checks, data and model"
    for section in ("Finalists", checks, "Cost", "Run it again"):
        assert section in page.words
    assert page.unclosed == []
    assert len(files["report.html"]) < MOST_BYTES
    ids = [value for value in page.values("section", "id") if value]
    assert len(ids) == len(set(ids))
    linked = {link for link in page.values("a", "href") if link.startswith("#")}
    assert linked <= {f"#{one}" for one in (*ids, *page.values("article", "id"))}


def check_figures(files: dict[str, bytes], page: ParsedPage) -> None:
    assert all(page.values("img", "alt"))
    drawn = [
        base64.b64decode(source.partition("base64,")[2])
        for source in page.values("img", "src")
        if source.startswith("data:image/svg+xml")
    ]
    named = [name for name in files if name.endswith(".svg") and "examples" not in name]
    assert sorted(drawn) == sorted(files[name] for name in named)
    for svg in drawn:
        ElementTree.fromstring(svg)
    twin = files["report.md"].decode()
    for name in (name for name in files if name.endswith(".svg")):
        assert f"]({name})" in twin


def test_the_page_has_the_numbers_of_the_finalists_and_all_trials() -> None:
    records = finalized()
    page = page_of(files_of("finalized")).words
    twin = files_of("finalized")["report.md"].decode()
    for one in records.of(FinalistRecord, "digits-mlp"):
        assert one.test is not None
        assert one.test.low is not None
        for value in (one.test.mean, one.test.low, one.search_value or 0.0):
            assert f"{value:.4f}" in page
            assert f"{value:.4f}" in twin
    for trial in records.of(TrialRecord, "digits-mlp"):
        if trial.values[0] is not None:
            assert f"{trial.values[0]:.4f}" in page
    for of_class in records.of(ClassRecord, "digits-mlp"):
        assert f"{of_class.precision:.3f}" in page


def test_the_same_records_give_the_same_bytes_and_one_line_has_a_date() -> None:
    records = failing()
    again = render(records, environment_of(records))
    assert again == files_of("failing")
    later = ReportRecords(
        records.report.model_copy(update={"collected": "2027-01-02T03:04:05Z"}), records.records
    )
    changed = render(later, environment_of(later))
    assert [name for name in changed if changed[name] != again[name]] == [
        "report.html",
        "report.md",
    ]
    lines = zip(changed["report.html"].splitlines(), again["report.html"].splitlines(), strict=True)
    (only,) = [before for after, before in lines if after != before]
    assert only.startswith(b'<p class="collected">Records collected 2026-11-27 14:39 UTC')
    html = again["report.html"].decode()
    assert COLLECTED[:10] in html
    assert re.findall(r"20\d\d-\d\d-\d\d", html) == [COLLECTED[:10]]


def test_texts_of_users_create_no_element_and_no_attribute() -> None:
    plain = failing()
    strings = list(itertools.islice(hostile_strings(), 200))
    hostile = replace_texts(plain, iter(strings))
    page = page_of(render(hostile, environment_of(hostile)))
    harmless = page_of(files_of("failing"))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements}
    known = {(tag, name) for tag, values in harmless.elements for name in values}
    assert {(tag, name) for tag, values in page.elements for name in values} <= known
    assert page.unclosed == []
    assert set(page.values("a", "href")) == set(harmless.values("a", "href"))
    # As it is, but for control characters: those are shown as escapes.
    untried = hostile.studies[0].untried
    assert [text for text in untried if " ".join(escape_text(text).split()) not in page.words] == []


def test_a_study_says_why_something_is_missing() -> None:
    files = render_changed(
        failing(),
        importance={"val_accuracy": "too few trials"},
        expected_best="no independent draws",
        unfinished="A finalize is at work.",
        warnings=("3 images occur twice",),
        commands=(),
    )
    page = page_of(files).words
    for words in (
        "Importance for val_accuracy: too few trials.",
        "no independent draws",
        "A finalize is at work.",
        "3 images occur twice",
        "No random search of the same space at equal budget is part of this report",
    ):
        assert words in page


def test_the_difference_of_a_test_metric_is_in_points_whatever_validation_is_measured_by() -> None:
    records = finalized()
    studies = [
        records.studies[0].model_copy(update={"metric": "val_loss", "is_share": False}),
    ]
    few = [one for one in records.records if isinstance(one, FinalistRecord)]
    changed = ReportRecords(records.report, (*studies, *few))
    page = page_of(render(changed, environment_of(changed))).words
    baseline = next(one.difference for one in few if one.baseline)
    assert baseline is not None
    assert baseline.mean is not None
    assert f"{100 * baseline.mean:+.1f} ±" in page


def test_the_first_screen_says_where_the_mean_lies_on_other_examples() -> None:
    first = finalized().all_of(FinalistRecord)[0]
    assert first.generalization is not None
    low, high = first.generalization.low, first.generalization.high
    ends = f"lies between {low:.4f} and {high:.4f} (95 % interval)."
    sentence = f"on average over new seeds, on other examples like these, {ends}"
    assert sentence in page_of(files_of("finalized")).words
    assert "over new seeds, on other examples like these" in page_of(files_of("several")).words
    # Without it, that over seeds alone.
    records = finalized()
    changed = [
        one.model_copy(update={"generalization": None}) if isinstance(one, FinalistRecord) else one
        for one in records.records
    ]
    without = ReportRecords(records.report, tuple(changed))
    words = page_of(render(without, environment_of(without))).words
    assert first.test is not None
    ends = f"{first.test.low:.4f} and {first.test.high:.4f}"
    assert f"on these same examples, lies between {ends} (95 % interval)." in words


def test_a_comparison_says_by_how_much_each_search_beats_its_baseline() -> None:
    records = KINDS["several"]()
    page = page_of(files_of("several")).words
    pairs = f"{records.report.comparisons} pairs of configurations"
    assert f"What decides is p, adjusted (Holm) for all {pairs}" in page
    told = page[page.index("Was the search worth it?") :]
    for name in records.report.studies:
        of_study = records.of(FinalistRecord, name)
        baseline = next(one for one in of_study if one.baseline)
        if baseline.verdict == "leader" or baseline.difference is None:
            continue
        assert baseline.difference.mean is not None
        gain = -100 * baseline.difference.mean
        found = re.search(rf"{name} ([+-][\d.]+) ±", told)
        assert found is not None
        assert float(found[1]) == pytest.approx(gain, abs=0.06)


def test_a_text_of_blanks_alone_is_shown() -> None:
    files = render_changed(finalized(), family=40 * " ", title=" ")
    records = finalized()
    trials = [
        one.model_copy(update={"state": 40 * " "}) if isinstance(one, TrialRecord) else one
        for one in records.records
    ]
    changed = ReportRecords(records.report, tuple(trials))
    assert files["report.html"]
    assert render(changed, environment_of(changed))["report.html"]


@pytest.mark.parametrize(
    ("value", "margin", "is_signed", "text"),
    [
        (-0.1884, 0.1523, True, "-0.19 ± 0.15"),
        (1.2, 0.2112, False, "1.20 ± 0.21"),
        (-0.001, 0.15, True, "+0.00 ± 0.15"),
        (0.5, 0.0996, False, "0.50 ± 0.10"),
        (-33.14, 11.9, True, "-33 ± 12"),
        (3e-9, 1e-9, False, "3e-09 ± 1e-09"),
        (0.25, None, True, "+0.25"),
        (0.25, 0.0, True, "+0.25 ± 0"),
    ],
)
def test_a_value_has_the_digits_of_its_margin(
    value: float, margin: float | None, is_signed: bool, text: str
) -> None:
    assert format_with_margin(value, margin, is_signed=is_signed) == text


def test_a_difference_from_the_other_side_has_its_ends_exchanged() -> None:
    turned = Difference(mean=-0.2, low=-0.5, high=0.1, p_value=0.3, reason="").negated
    assert (turned.mean, turned.low, turned.high) == (0.2, -0.1, 0.5)


def test_many_names_are_counted() -> None:
    assert join_some(["a", "b", "c", "d"]) == "a, b, c and d"
    assert join_some(["a", "b", "c", "d", "e"]) == "a, b and 3 others"


def test_a_time_of_searches_alone_is_called_so() -> None:
    records = unfinished()
    names = [name for name, _ in summarize(StudyView(records.studies[0], records)).facts]
    assert "search" in names
    assert "search and finalize" not in names


@pytest.mark.parametrize(
    ("sampler", "is_said"), [("tpe", True), ("random", False), ("grid", False)]
)
def test_only_a_sampler_that_learns_may_choose_otherwise_the_next_time(
    sampler: str, is_said: bool
) -> None:
    records = finalized()
    study = records.studies[0].model_copy(update={"sampler": sampler})
    rest = [one for one in records.records if not isinstance(one, StudyRecord)]
    changed = ReportRecords(records.report, (study, *rest))
    words = page_of(render(changed, environment_of(changed))).words
    assert ("may try other configurations" in words) is is_said
    assert ("The sampler chose what to try" in words) is is_said


def test_studies_that_are_not_separable_share_the_headline() -> None:
    records = KINDS["several"]()
    second = next(one for one in records.all_of(ComparedRecord) if one.verdict == "not separable")
    changed = [
        one.model_copy(update={"study": "mlp"}) if one is second else one for one in records.records
    ]
    tied = ReportRecords(records.report, tuple(changed))
    views = [StudyView(one, tied) for one in tied.studies]
    leader = records.all_of(ComparedRecord)[0]
    answer = build_comparison(tied, views).summary.answer
    assert answer == f"Not decided between {leader.name} and {second.name}."


def test_changed_code_is_warned_of() -> None:
    page = page_of(files_of("finalized")).words
    assert "The code of the finalize had changes that were not committed" in page
    assert "The code of the search had changes" not in page


def test_what_was_typed_stands_apart_from_what_may_come_next() -> None:
    page = page_of(files_of("finalized")).words
    made, again, later = map(
        page.index,
        ("What made this study:", "opens the test set once more", "What to do with it next"),
    )
    assert made < page.index("assay finalize digits-mlp") < again < later
    assert later < page.index("assay report digits-mlp")
    page = page_of(files_of("unfinished")).words
    assert "opens the test set once more" not in page
    assert page.rindex("assay finalize searched") > page.index("What to do with it next")


def test_studies_of_one_title_are_told_apart_by_their_names() -> None:
    records = KINDS["several"]()
    others = [one.model_copy(update={"title": "Digits"}) for one in records.studies]
    rest = [one for one in records.records if not isinstance(one, StudyRecord)]
    same = ReportRecords(records.report, (*others, *rest))
    page = page_of(render(same, environment_of(same))).words
    for name in records.report.studies:
        assert page.count(f"{name}: Digits") >= 2
    first = records.studies[0]
    assert f"{first.study}: {first.title}" not in page_of(files_of("several")).words


@pytest.mark.parametrize(
    ("others", "text", "tone"),
    [
        (["worse", "worse"], "better than all others", "good"),
        (["worse", "not separable"], "not separable from trial 2", "open"),
        (["not separable"], "not separable from trial 1 (the baseline)", "open"),
        (3 * ["not separable"], "from trial 1 (the baseline), trial 2 or trial 3", "open"),
        (5 * ["not separable"], "from trial 1 (the baseline), trial 2 or 3 more", "open"),
        (["worse", "better"], "another is better", "open"),
        (["worse", "not judged"], "not compared with everything", "open"),
        ([], "not compared with everything", "open"),
    ],
)
def test_only_a_leader_that_beats_all_others_is_called_decided(
    others: list[str], text: str, tone: str
) -> None:
    named = [
        (f"trial {trial}", verdict, "the baseline" if trial == 1 else "")
        for trial, verdict in enumerate(others, 1)
    ]
    badge = decide_badge([("trial 0", "leader", ""), *named])
    assert text in badge.text
    assert badge.tone == tone


def test_the_first_screen_says_from_what_a_leader_is_not_separable() -> None:
    same = [one.trial for one in finalized().all_of(FinalistRecord) if not one.baseline][1:]
    named = " or ".join(f"trial {trial}" for trial in same)
    assert f"not separable from {named}" in page_of(files_of("finalized")).words[:1_500]
    compared = KINDS["several"]().all_of(ComparedRecord)
    first = next(one.name for one in compared if one.verdict == "not separable")
    assert f"not separable from {first}" in page_of(files_of("several")).words[:1_500]


def test_checks_of_a_finalized_study_are_said_to_be_about_its_search() -> None:
    sentence = "The checks are about the search alone"
    assert sentence in page_of(files_of("finalized")).words
    assert sentence not in page_of(files_of("unfinished")).words


def test_the_command_of_a_benchmark_is_on_its_page() -> None:
    records = KINDS["several"]()
    report = records.report.model_copy(update={"command": "make benchmark-report DATA=mnist"})
    files = render(ReportRecords(report, records.records), environment_of(records))
    for name in ("report.html", "report.md"):
        assert b"make benchmark-report DATA=mnist" in files[name]


def test_the_metric_of_a_comparison_is_that_of_the_studies_that_are_compared() -> None:
    records = KINDS["several"]()
    other = KINDS["regression"]().studies[0]
    other = other.model_copy(update={"study": "other", "leader": None})
    report = records.report.model_copy(update={"studies": ("other", *records.report.studies)})
    changed = ReportRecords(report, (other, *records.records))
    summary = build_comparison(
        changed, [StudyView(one, changed) for one in changed.studies]
    ).summary
    assert summary.answer == "cnn is best; which of its configurations is not decided."
    assert "accuracy on the 2,000 test images." in summary.explanation
    assert summary.picture is not None
    assert summary.picture.numbers is not None
    assert summary.picture.numbers.caption == "Test accuracy."


def test_a_time_that_is_not_recorded_is_no_part_of_a_sum() -> None:
    records = KINDS["several"]()
    first, *others = records.studies
    for missing in ("", "sweep", "finalize"):
        costs = first.costs.model_copy(update={missing: None} if missing else {})
        view = StudyView(first.model_copy(update={"costs": costs}), records)
        views = [view, *(StudyView(one, records) for one in others)]
        for facts in (build_comparison(records, views).summary.facts, summarize(view).facts):
            shown = [name for name, _ in facts if name.startswith("search")]
            assert shown == ([] if missing else ["search and finalize"])


def test_trials_that_were_interrupted_have_not_failed() -> None:
    records = KINDS["failing"]()
    trials = [
        one.model_copy(update={"state": "failed: interrupted", "error": ""})
        for one in records.all_of(TrialRecord)
    ]
    kept = [one for one in records.records if not isinstance(one, TrialRecord)]
    changed = ReportRecords(records.report, (*kept, *trials))
    assert "The most frequent reason" in page_of(files_of("failing")).words
    assert "The most frequent reason" not in page_of(render(changed, environment_of(changed))).words


@pytest.mark.parametrize("kind", ["finalized", "unfinished", "several", "uncompared"])
def test_the_first_screen_says_that_data_is_not_the_published_one(kind: str) -> None:
    note = "x_test is a copy that went through JPEG"
    records = KINDS[kind]()
    studies = [
        one.model_copy(update={"data": one.data.model_copy(update={"note": note})})
        for one in records.studies
    ]
    others = [one for one in records.records if not isinstance(one, StudyRecord)]
    changed = ReportRecords(records.report, (*studies, *others))
    views = [StudyView(one, changed) for one in studies]
    # Not the page, of which the figures take seconds.
    summary = summarize(views[0]) if len(views) == 1 else build_comparison(changed, views).summary
    assert note in summary.certainty
