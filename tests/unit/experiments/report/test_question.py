"""The answer to a declared question rests on what was trained again."""

from __future__ import annotations

import pytest

from assay.experiments.report.page.question import answer_question, describe_isolation
from assay.experiments.report.page.summary import summarize
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    FinalistRecord,
    HyperparameterRecord,
    IsolationRecord,
    RandomSearch,
    ReportRecords,
    Value,
)
from tests.helpers.report_records import finalized

CHOICES = ("tanh", "relu", "sigmoid")


def view_of(
    finalists: list[tuple[Value, str]],
    choices: tuple[Value, ...] = CHOICES,
    isolations: tuple[IsolationRecord, ...] = (),
    random_search: RandomSearch | None = None,
) -> StudyView:
    """Return a study that asks about the activation.

    Args:
        finalists: value and verdict of each, the leader first; without a value, it is not used.
        choices: the choices that were searched; empty for a range.
        isolations: the best of the search for each value.
        random_search: a random study beside it.
    """
    records = finalized()
    study = records.studies[0].model_copy(
        update={"question": "activation", "random_search": random_search}
    )
    first = records.all_of(FinalistRecord)[0]
    judged = [
        first.model_copy(
            update={
                "trial": trial,
                "verdict": verdict,
                "params": {} if value is None else {"activation": value},
            }
        )
        for trial, (value, verdict) in enumerate(finalists)
    ]
    space = HyperparameterRecord(
        study=study.study,
        name="activation",
        choices=choices,
        low=None,
        high=None,
        step=None,
        log=False,
        integer=False,
        when="",
    )
    changed = ReportRecords(records.report, (study, space, *judged, *isolations))
    return StudyView(study, changed)


def answer(view: StudyView) -> tuple[str, bool]:
    found = answer_question(view, view.finalists[0])
    assert found is not None
    return found.text, found.is_decided


@pytest.mark.parametrize(
    ("finalists", "expected"),
    [
        (
            [("tanh", "leader"), ("sigmoid", "not separable"), ("tanh", "not separable")],
            "Not decided between tanh and sigmoid; relu was not tested.",
        ),
        (
            [("tanh", "leader"), ("sigmoid", "not separable"), ("relu", "not judged")],
            "Not decided between tanh, sigmoid and relu.",
        ),
        (
            # One of a value that is as good is enough.
            [
                ("tanh", "leader"),
                ("relu", "worse"),
                ("relu", "not separable"),
                ("sigmoid", "worse"),
            ],
            "Not decided between tanh and relu.",
        ),
        (
            [("tanh", "leader"), ("sigmoid", "worse"), ("tanh", "worse")],
            "Not decided: tanh is better than sigmoid, but relu was not tested.",
        ),
        (
            [("tanh", "leader"), ("tanh", "not separable")],
            "Not decided: tanh alone was tested; relu and sigmoid were not tested.",
        ),
        (
            [("relu", "leader"), ("tanh", "worse"), ("sigmoid", "worse"), ("sigmoid", "worse")],
            "relu: better than tanh and sigmoid, as far as the finalists tell.",
        ),
        (
            [("relu", "leader"), (None, "better"), ("tanh", "worse"), ("sigmoid", "worse")],
            "Not decided between relu and no value.",
        ),
    ],
)
def test_a_question_is_answered_by_what_was_trained_again(
    finalists: list[tuple[Value, str]], expected: str
) -> None:
    assert answer(view_of(finalists)) == (expected, not expected.startswith("Not decided"))


@pytest.mark.parametrize(
    ("finalists", "expected"),
    [
        ([(0.001, "leader"), (0.003, "not separable")], "Not decided between 0.001 and 0.003;"),
        ([(2, "leader"), (3, "worse")], "Not decided: 2 is better than 3, but"),
        ([(0.001, "leader")], "Not decided: 0.001 alone was tested;"),
    ],
)
def test_a_question_about_a_range_is_never_decided(
    finalists: list[tuple[Value, str]], expected: str
) -> None:
    text = f"{expected} other values of the range were not tested."
    assert answer(view_of(finalists, choices=())) == (text, False)


def test_values_that_look_the_same_are_told_apart() -> None:
    near = (0.1, 0.2, 0.10001)
    text, is_decided = answer(view_of([(0.1, "leader"), (0.2, "worse")], choices=near))
    assert (text, is_decided) == (
        "Not decided: 0.1 is better than 0.2, but 0.10001 was not tested.",
        False,
    )
    text, _ = answer(view_of([(0.1, "leader"), (0.10001, "worse")], choices=near[::2]))
    assert text == "0.1: better than 0.10001, as far as the finalists tell."


@pytest.mark.parametrize(
    ("finalists", "badge", "tone"),
    [
        ([("tanh", "leader"), ("sigmoid", "worse")], "not every value was tested", "open"),
        ([("tanh", "leader"), ("relu", "not separable")], "not separable from trial 1", "open"),
        (
            [
                ("tanh", "leader"),
                ("relu", "worse"),
                ("sigmoid", "worse"),
                ("tanh", "not separable"),
            ],
            "decided for activation",
            "good",
        ),
    ],
)
def test_the_badge_says_what_the_answer_says(
    finalists: list[tuple[Value, str]], badge: str, tone: str
) -> None:
    summary = summarize(view_of(finalists))
    assert badge in summary.status.text
    assert summary.status.tone == tone
    assert "Trial 0 (tanh) leads: " in summary.explanation


def test_without_a_question_there_is_no_answer_to_it() -> None:
    records = finalized()
    view = StudyView(records.studies[0], records)
    assert answer_question(view, view.finalists[0]) is None
    assert list(describe_isolation(view)) == []


def isolation(study: str, group: str, best: float, trials: int) -> IsolationRecord:
    return IsolationRecord(
        study=study,
        name="activation",
        group=group,
        trials=trials,
        trial=0,
        best=best,
        low=None,
        high=None,
    )


def test_the_best_of_the_search_stands_beside_the_number_of_its_trials() -> None:
    study = finalized().studies[0].study
    random = RandomSearch(study="random", trials=50, best=0.98, train_seconds=None, sentence="")
    isolations = (
        isolation(study, "relu", 0.9709, 1),
        isolation(study, "tanh", 0.9785, 16),
        isolation("random", "relu", 0.9801, 11),
    )
    view = view_of([("tanh", "leader")], isolations=isolations, random_search=random)
    assert list(describe_isolation(view)) == [
        "Best val_accuracy of the search for each activation, each trained once: tanh 0.9785 (16 "
        "complete trials), relu 0.9709 (1). With so few trials, the search says little about relu.",
        "The same of random search (random): relu 0.9801 (11 complete trials).",
    ]
