"""Comparisons of configurations: the leader, verdicts, what is refused, CSV and LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.experiments.decision.candidates import (
    ONE_TRAINING,
    Candidate,
    Conditions,
    Predicted,
)
from assay.experiments.decision.comparison import (
    ConfigurationComparison,
    check_comparable,
    compare_candidates,
)
from assay.experiments.decision.comparison_table import to_csv, to_frame, to_latex
from assay.experiments.decision.sentences import list_notes
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.evaluation.verdicts import compare_scores
from assay.models.errors import RequestError
from assay.search.objective import Objective

CONDITIONS = Conditions(
    data="digits",
    digest="d1",
    task="classification",
    objective=Objective("maximize", "val_accuracy"),
    validation=100,
    split_seed=0,
    splits=False,
)
TARGETS = np.arange(400) % 10
SHARES = [0.0, 0.01, 0.02, 0.015, 0.005]  # of each seed, that its accuracy is lower by


def right(accuracy: float, seeds: int = 5, draw: int = 0) -> NDArray[np.float64]:
    """Return scores (seeds, examples) with about this accuracy."""
    random = np.random.default_rng(draw)
    shares = accuracy - np.array(SHARES[:seeds])
    return (random.random((seeds, len(TARGETS))) < shares[:, None]).astype(np.float64)


def candidate(
    name: str, validation: float, scores: NDArray[np.float64] | None, **changes: Any
) -> Candidate:
    study, _, trial = name.partition("/")
    fields: dict[str, Any] = {
        "name": name,
        "study": study,
        "trial": int(trial),
        "runs": (),
        "is_baseline": False,
        "params": {"hidden_units": int(trial), "epochs": 2},
        "conditions": CONDITIONS,
        "seeds": 1 if scores is None else len(scores),
        "failed": (),
        "validation": mean_interval([validation + share for share in SHARES]),
        "predicted": None if scores is None else Predicted(scores, TARGETS),
        "why_not_judged": ONE_TRAINING if scores is None else None,
        "openings": 0 if scores is None else 1,
        "notes": (),
        "trainings": frozenset(),
    }
    return Candidate(**{**fields, **changes})


def verdicts(found: ConfigurationComparison) -> dict[str, str]:
    return {one.name: one.verdict for one in found.configurations}


def test_a_note_names_what_it_is_about_if_that_is_not_everything() -> None:
    first, second = right(0.9), right(0.8, draw=1)
    few = compare_scores(first[:3], second[:3], greater_is_better=True)
    enough = compare_scores(first, second, greater_is_better=True)
    assert list_notes({"trial 3": few, "trial 4": enough}) == ["Few seeds (3 and 3): trial 3."]
    assert list_notes({"trial 3": few}) == ["Few seeds (3 and 3)."]


# The leader and the verdicts.


def test_equal_configurations_are_not_separable_and_a_worse_one_is_worse() -> None:
    found = compare_candidates(
        [
            candidate("a/1", 0.9, right(0.9)),
            candidate("b/2", 0.9, right(0.9)),
            candidate("a/3", 0.8, right(0.7, draw=1)),
        ]
    )
    assert verdicts(found) == {"a/1": "leader", "b/2": "not separable", "a/3": "worse"}
    assert found.smallest_gap is not None
    assert found.to_record()["configurations"][1]["reason"] == (
        "the two do not differ on any example"
    )


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_validation_chooses_the_leader_in_the_direction_of_the_objective(direction: Any) -> None:
    conditions = dataclasses.replace(CONDITIONS, objective=Objective(direction, "val_metric"))
    # The other one is better on the test set, which has no say in it.
    low = candidate("a/1", 0.2, right(0.9), conditions=conditions)
    high = candidate("a/2", 0.8, right(0.6), conditions=conditions)
    expected = "a/2" if direction == "maximize" else "a/1"
    found = compare_candidates([low, high])
    assert found.leader == expected
    assert found.configurations[0].name == expected
    assert found.configurations[1].verdict == ("better" if expected == "a/2" else "worse")


def test_a_trial_never_leads_and_has_no_verdict() -> None:
    found = compare_candidates(
        [candidate("a/9", 0.99, None), candidate("a/1", 0.9, right(0.9))],
    )
    assert verdicts(found) == {"a/1": "leader", "a/9": "not judged"}
    assert found.configurations[1].reason == ONE_TRAINING
    assert not found.comparisons


def test_trials_alone_have_no_leader() -> None:
    found = compare_candidates([candidate("a/1", 0.9, None), candidate("a/2", 0.95, None)])
    assert found.leader is None
    assert [one.name for one in found.configurations] == ["a/2", "a/1"]


@pytest.mark.parametrize(("finalists", "comparisons"), [(1, 1), (3, 6), (4, 10)])
def test_all_configurations_are_compared_in_pairs(finalists: int, comparisons: int) -> None:
    candidates = [
        candidate(f"a/{number}", 0.9 - 0.01 * number, right(0.9, draw=number))
        for number in range(finalists)
    ]
    baseline = candidate("a/9", 0.5, right(0.5, draw=9), is_baseline=True)
    found = compare_candidates([*candidates, baseline])
    assert len(found.comparisons) == comparisons
    assert {one.family_size for one in found.comparisons.values()} == {comparisons}


@pytest.mark.parametrize(("openings", "alpha"), [(1, 0.05), (2, 0.025), (3, 0.0125)])
def test_the_study_that_was_opened_most_sets_the_level(openings: int, alpha: float) -> None:
    found = compare_candidates(
        [
            candidate("a/1", 0.9, right(0.9)),
            candidate("b/2", 0.8, right(0.8, draw=1), openings=openings),
        ]
    )
    assert [one.alpha for one in found.comparisons.values()] == [alpha]
    assert found.openings == openings


def test_fewer_than_three_seeds_give_no_verdict() -> None:
    found = compare_candidates(
        [candidate("a/1", 0.9, right(0.95)), candidate("b/2", 0.5, right(0.3, seeds=2))]
    )
    assert verdicts(found) == {"a/1": "leader", "b/2": "not separable"}
    assert found.configurations[1].reason == "fewer than 3 seeds (2 and 5)"


# What is refused.


def changed(**changes: Any) -> dict[str, Any]:
    return {"conditions": dataclasses.replace(CONDITIONS, **changes)}


UNEQUAL: list[tuple[dict[str, Any], str]] = [
    (changed(digest="d2"), "same data: a/1 has digits (digest d1), b/2 has digits (digest d2)"),
    (
        changed(task="regression"),
        "same test metric: a/1 has accuracy (classification), b/2 has mae",
    ),
    (
        changed(objective=Objective("minimize", "val_loss")),
        "same objective: a/1 has maximize val_accuracy, b/2 has minimize val_loss",
    ),
    (changed(validation=99), "same validation split: a/1 has 100 examples drawn with split_seed 0"),
    (changed(split_seed=1), "b/2 has 100 examples drawn with split_seed 1"),
    (changed(splits=True), "b/2 has 100 examples drawn anew for every seed"),
    (changed(split_seed=None), "that of b/2 is not recorded"),
    (changed(validation=None), "that of b/2 is not recorded"),
    (
        {"predicted": Predicted(right(0.9)[:, :300], TARGETS[:300])},
        "same test examples: received 400 of a/1 and 300 of b/2",
    ),
    (
        {"predicted": Predicted(right(0.9), TARGETS[::-1])},
        "received 400 of a/1 and 400 of b/2 with other targets or in another order",
    ),
]


@pytest.mark.parametrize(("changes", "message"), UNEQUAL, ids=[words for _, words in UNEQUAL])
def test_what_can_not_be_compared_is_refused(changes: dict[str, Any], message: str) -> None:
    first, other = candidate("a/1", 0.9, right(0.9)), candidate("b/2", 0.8, right(0.8), **changes)
    check_comparable([first, first])
    for pair in ([first, other], [first, first, other]):
        with pytest.raises(RequestError, match=re.escape(message)) as refused:
            check_comparable(pair)
        assert "\n" not in str(refused.value)


def test_the_same_data_may_have_two_names() -> None:
    copy = candidate("b/2", 0.8, right(0.8), **changed(data="npz:digits.npz"))
    check_comparable([candidate("a/1", 0.9, right(0.9)), copy])


def test_split_seeds_do_not_matter_where_every_seed_has_a_split() -> None:
    check_comparable(
        [
            candidate("a/1", 0.9, right(0.9), **changed(splits=True)),
            candidate("b/2", 0.8, right(0.8), **changed(splits=True, split_seed=1)),
            candidate("b/3", 0.8, right(0.8), **changed(splits=True, split_seed=None)),
        ]
    )


def test_targets_of_a_regression_may_differ_by_their_rounding() -> None:
    exact = np.linspace(1e6, 1e6 + 10, 400)
    rounded = exact.astype(np.float32).astype(np.float64)
    first, second, moved = (
        candidate(name, 0.9, right(0.9), predicted=Predicted(right(0.9), targets))
        for name, targets in (("a/1", exact), ("b/2", rounded), ("b/3", exact + 10))
    )
    check_comparable([first, second])
    with pytest.raises(RequestError, match="in another order"):
        check_comparable([first, moved])


# The table.


def table(**names: Any) -> ConfigurationComparison:
    """Return a comparison of two whose second has other hyperparameters."""
    return compare_candidates(
        [
            candidate("a/1", 0.9, right(0.9)),
            candidate("b/2", 0.5, right(0.5), params={"hidden_units": 1, "epochs": 2, **names}),
        ]
    )


def test_only_hyperparameters_that_differ_are_columns() -> None:
    found = table(dropout=0.5)
    assert found.differing_params() == ["dropout"]
    assert found.shared_params() == {"hidden_units": 1, "epochs": 2}


@pytest.mark.parametrize(
    ("first", "second"), [(0.001, 0.001), ([8, 4], [8, 4]), (True, "True"), (1e-05, "1e-05")]
)
def test_values_are_equal_if_mlflow_would_store_the_same(first: Any, second: Any) -> None:
    pair = [
        candidate("a/1", 0.9, right(0.9), params={"rate": first}),
        candidate("b/1", 0.9, right(0.9), params={"rate": second}),
    ]
    assert compare_candidates(pair).differing_params() == []


def test_the_frame_has_a_row_for_each_configuration_and_the_record() -> None:
    found = table(dropout=0.5, verdict="mine")
    frame = to_frame(found)
    assert [*frame.index] == ["a/1", "b/2"]
    assert frame.index.name == "configuration"
    assert [*frame["verdict"]] == ["leader", "worse"]
    assert frame.loc["b/2", "params.verdict"] == "mine"
    assert frame.loc["b/2", "dropout"] == 0.5
    assert frame.loc["b/2", "test"] == found.configurations[1].test.mean  # type: ignore[union-attr]
    assert frame.attrs == found.to_record()
    assert frame["trial"].dtype == "Int64"


def test_csv_defuses_formulas_in_text_and_leaves_numbers() -> None:
    found = table(
        **{"=cmd|' /C calc'!A0": "@SUM(1)", "shift": -0.5, "sign": "-1", "plain": "a,b\nc"}
    )
    (header, _, row) = list(csv.reader(io.StringIO(to_csv(found))))
    cells = dict(zip(header, row, strict=True))
    assert cells["'=cmd|' /C calc'!A0"] == "'@SUM(1)"
    assert cells["sign"] == "'-1"
    assert cells["shift"] == "-0.5"
    assert float(cells["difference"]) < 0
    assert cells["plain"] == "a,b\nc"
    assert (cells["configuration"], cells["verdict"]) == ("b/2", "worse")


def test_latex_escapes_every_special_character() -> None:
    found = table(**{"a_b": "50% & $x^2$ #{~} \\end{tabular} [1]\n\x1b"})
    lines = to_latex(found).splitlines()
    assert lines[:2] == [r"\begin{tabular}{llrlll}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert lines[2] == (
        r"Configuration & a\_b & Seeds & val\_accuracy & test accuracy & Verdict \\"
    )
    value = (
        r"50\% \& \$x\textasciicircum{}2\$ \#\{\textasciitilde{}\} "
        r"\textbackslash{}end\{tabular\} {[}1]\textbackslash{}n\textbackslash{}x1b"
    )
    assert lines[5].startswith(f"b/2 & {value} & 5 & 0.5100 {{[}}0.5002, 0.5198], sd 0.0079 & ")
    assert lines[5].endswith(r" & worse \\")
