"""Figures of a report: what they show of many trials, and letters of users in them."""

from __future__ import annotations

import itertools
import warnings
from xml.etree import ElementTree

import pytest

from assay.experiments.report.page.cells import format_difference
from assay.experiments.report.page.drawing import label
from assay.experiments.report.page.figures import (
    MOST_CLASSES,
    WORST_CLASSES,
    choose_classes,
    draw_examples,
)
from assay.experiments.report.page.search_figures import (
    _make_scale,
    _ticks_of,
    choose_lines,
    draw_endings,
    draw_history,
    draw_parallel,
)
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    ClassRecord,
    Difference,
    ExampleRecord,
    HyperparameterRecord,
    ReportRecords,
    TrialRecord,
)
from assay.experiments.terminal_text import escape_line
from tests.helpers.report_records import failing, hostile_strings, large, several

STRINGS = list(itertools.islice(hostile_strings(), 35))


def texts_of(svg: bytes) -> list[str]:
    return [
        "".join(one.itertext()) for one in ElementTree.fromstring(svg).iter() if "text" in one.tag
    ]


@pytest.mark.parametrize("start", range(0, len(STRINGS), 7))
def test_letters_of_users_are_drawn_as_they_are_without_a_warning(start: int) -> None:
    trial = failing().of(TrialRecord, "failing")[0]
    chosen = STRINGS[start : start + 7]
    trials = [trial.model_copy(update={"state": text}) for text in chosen]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = draw_endings(trials)
    shown = [" ".join(text.split()) for text in texts_of(svg)]
    for text in chosen:
        line = escape_line(text)
        line = line if len(line) <= 26 else f"{line[:25]}…"
        assert " ".join(line.split()) in shown


def test_numbers_are_shortened_in_coordinates_and_not_in_texts() -> None:
    trial = failing().of(TrialRecord, "failing")[0]
    svg = draw_endings([trial.model_copy(update={"state": 'd="1.23456789" 2.98765'})])
    assert 'd="1.23456789" 2.98765' in texts_of(svg)
    assert svg.count(b".") < 0.1 * len(svg)


def test_labels_are_shortened_and_have_no_formula() -> None:
    assert label("$x$\n" + "a" * 40, 10) == r"\$x\$\naaaa…"


def test_examples_are_a_sheet_with_their_images() -> None:
    example = (
        several().all_of(ExampleRecord)[0].model_copy(update={"label": "<b>&", "predicted": "]]>"})
    )
    svg = draw_examples([example] * 7)
    root = ElementTree.fromstring(svg)
    images = [one for one in root.iter() if one.tag.endswith("image")]
    assert [one.get("href") for one in images] == [f"data:image/png;base64,{example.png}"] * 7
    assert "<b>& → ]]>" in texts_of(svg)


def test_of_many_trials_the_best_and_a_sample_are_drawn() -> None:
    view = StudyView(large().studies[0], large())
    lines = choose_lines(view.study, view.trials)
    assert 150 <= len(lines) <= 200
    assert lines[-1].trial == view.study.best
    complete = sorted(
        (one.values[0] or 0.0 for one in view.trials if one.state == "complete"), reverse=True
    )
    assert sorted((one.values[0] or 0.0 for one in lines), reverse=True)[:100] == complete[:100]


def test_of_equal_values_the_first_trial_is_the_best() -> None:
    study = large().studies[0]
    first = next(one for one in large().all_of(TrialRecord) if one.state == "complete")
    trials = [first.model_copy(update={"trial": number, "values": (0.9,)}) for number in range(3)]
    assert choose_lines(study, trials)[-1].trial == 0


def test_what_is_cut_off_is_marked_and_no_finalist_is() -> None:
    first, *others = (one for one in large().all_of(TrialRecord) if one.state == "complete")
    values = [0.1, *(0.9 + 0.001 * place for place in range(20))]
    trials = [
        one.model_copy(update={"trial": place, "values": (value,), "baseline": False})
        for place, (one, value) in enumerate(zip([first, *others], values, strict=False))
    ]
    study = large().studies[0].model_copy(update={"best": len(values) - 1})
    space = large().all_of(HyperparameterRecord)
    assert "trial (triangles: 1 trial outside)" in texts_of(draw_history(study, trials))
    assert "≤ 0.9000" in texts_of(draw_parallel(study, space, trials))
    # The worst is cut off, but not where it is a finalist.
    assert "trial" in texts_of(draw_history(study, trials, {0}))
    assert "0.1000" in texts_of(draw_parallel(study, space, trials, {0}))
    flipped = study.model_copy(update={"objectives": ("minimize val_loss",), "best": 0})
    assert "trial" in texts_of(draw_history(flipped, trials))


def test_of_many_classes_the_worst_are_drawn() -> None:
    classes = large().all_of(ClassRecord)
    assert len(classes) > MOST_CLASSES
    chosen = choose_classes(classes)
    assert len(chosen) == WORST_CLASSES
    errors = [sum(one.predicted) - one.predicted[place] for place, one in enumerate(classes)]
    left = [count for place, count in enumerate(errors) if place not in chosen]
    assert min(errors[place] for place in chosen) >= max(left)


def parameter(**changes: object) -> HyperparameterRecord:
    plain = several().all_of(HyperparameterRecord)[0]
    none = {"choices": (), "low": None, "high": None, "step": None, "log": False, "integer": False}
    return plain.model_copy(update={**none, **changes})


def test_a_logarithmic_axis_is_logarithmic() -> None:
    one = parameter(low=1e-4, high=0.1, log=True)
    scale = _make_scale(one, [])
    assert [scale(10.0**power, 0) for power in (-4, -3, -2, -1)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert [text for _, text in _ticks_of(one, [], scale)] == ["0.0001", "0.001", "0.01", "0.1"]


def test_a_linear_axis_is_linear_and_holds_values_from_outside() -> None:
    scale = _make_scale(parameter(low=0.0, high=4.0), [])
    assert [scale(value, 0) for value in (0.0, 1.0, 4.0, 9.0)] == [0.0, 0.25, 1.0, 1.0]


def test_choices_lie_in_their_order_and_apart() -> None:
    one = parameter(choices=("b", "a", True))
    scale = _make_scale(one, [])
    for trial in range(50):
        places = [scale(choice, trial) for choice in ("b", "a", True)]
        assert [int(3 * place) for place in places] == [0, 1, 2]
    assert [text for _, text in _ticks_of(one, [], scale)] == ["b", "a", "True"]


def test_a_difference_is_printed_as_finalize_prints_it() -> None:
    difference = Difference(mean=-0.07391, low=-0.1017, high=-0.0461, p_value=0.01, reason="")
    assert format_difference(difference, in_points=True) == "-7.4 ± 2.8 points"
    assert format_difference(difference, in_points=False, unsigned=True) == "0.074 ± 0.028"
    assert format_difference(None, in_points=True) == ""


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("a", "b-2"), ["a-x", "b-2-x"]),
        (("A", "a"), ["study-1-x", "study-2-x"]),
        (("../a", "b\n"), ["study-1-x", "study-2-x"]),
        (("study-2", "b\n"), ["study-1-x", "study-2-x"]),
        (("\u212a", "b"), ["study-1-x", "b-x"]),
        (("only",), ["x"]),
    ],
)
def test_files_of_figures_have_safe_names(names: tuple[str, ...], files: list[str]) -> None:
    plain = several()
    studies = [plain.studies[0].model_copy(update={"study": name}) for name in names]
    report = plain.report.model_copy(update={"studies": names})
    records = ReportRecords(report, tuple(studies))
    assert [StudyView(study, records).file("x") for study in studies] == files
