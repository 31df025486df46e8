"""The answer to a declared question rests on what was trained again."""

from __future__ import annotations

import pytest

from assay.experiments.report.page.question import answer_question, describe_isolation
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


def answer(view: StudyView) -> str | None:
    return answer_question(view, view.finalists[0])


@pytest.mark.parametrize(
    ("finalists", "expected"),
    [
        (
            [("tanh", "leader"), ("sigmoid", "not separable"), ("tanh", "not separable")],
            "Not decided between tanh and sigmoid; relu was not trained again.",
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
            "Not decided: tanh is better than sigmoid, but relu was not trained again.",
        ),
        (
            [("tanh", "leader"), ("tanh", "not separable")],
            "Not decided: tanh alone was trained again, not relu or sigmoid.",
        ),
        (
            [("relu", "leader"), ("tanh", "worse"), ("sigmoid", "worse"), ("sigmoid", "worse")],
            "relu: better than tanh and sigmoid, as far as the finalists tell.",
        ),
        (
            [("relu", "leader"), (None, "better"), ("tanh", "worse"), ("sigmoid", "worse")],
            "Not decided between relu and (not used).",
        ),
    ],
)
def test_a_question_is_answered_by_what_was_trained_again(
    finalists: list[tuple[Value, str]], expected: str
) -> None:
    assert answer(view_of(finalists)) == expected


def test_a_question_about_a_range_names_no_value_that_was_not_trained_again() -> None:
    tied: list[tuple[Value, str]] = [(0.001, "leader"), (0.003, "not separable")]
    assert answer(view_of(tied, choices=())) == "Not decided between 0.001 and 0.003."
    assert answer(view_of(tied[:1], choices=())) == "Not decided: 0.001 alone was trained again."


def test_without_a_question_there_is_no_answer_to_it() -> None:
    records = finalized()
    view = StudyView(records.studies[0], records)
    assert answer(view) is None
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
