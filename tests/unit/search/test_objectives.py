"""Parsing of objectives, and the best trials."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models.errors import RequestError
from assay.search.objective import Objectives, ParetoFront

BOTH = ("maximize val_accuracy", "minimize parameters")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["maximise val_loss"], "unknown direction 'maximise'"),
        (["maximize"], "received 'maximize'; write 'maximize val_accuracy'"),
        (["minimize "], "received 'minimize '; write 'minimize val_loss'"),
        ([], "a search needs an objective"),
        (["maximize loss", "minimize loss"], "each metric may be one objective"),
    ],
)
def test_an_invalid_objective_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Objectives.read(texts)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20), st.randoms()
)
def test_the_best_trials_equal_those_of_pairwise_comparison(
    trials: Sequence[tuple[int, int]], order: random.Random
) -> None:
    objectives = Objectives.read(BOTH)
    best_trials = ParetoFront(objectives)
    values = {
        number: (float(accuracy), float(size)) for number, (accuracy, size) in enumerate(trials)
    }
    for number in order.sample(list(values), len(values)):
        admitted = best_trials.admits(number, values[number])
        best_trials.add(number, values[number])
        assert (number in best_trials.values) == admitted
    front = {
        (accuracy, size)
        for accuracy, size in trials
        if not any(
            (more >= accuracy and less <= size) and (more, less) != (accuracy, size)
            for more, less in trials
        )
    }
    assert {(int(accuracy), int(size)) for accuracy, size in best_trials.values.values()} == front
    assert len(best_trials.values) == len(front)
    assert all(
        number == trials.index((int(one), int(other)))
        for number, (one, other) in best_trials.values.items()
    )
    assert best_trials.ranked() == ParetoFront(objectives, values).ranked(), (
        "whoever counts again finds the same"
    )


def test_the_order_of_the_front_does_not_depend_on_which_trial_ended_first() -> None:
    objectives = Objectives.read(
        ["maximize val_accuracy", "minimize parameters", "minimize train_seconds"]
    )
    values = {0: (0.9, 10.0, 2.0), 1: (0.9, 20.0, 1.0), 2: (0.95, 30.0, 3.0)}
    later_first = ParetoFront(objectives, dict(reversed(values.items())))
    assert list(later_first.ranked()) == list(ParetoFront(objectives, values).ranked()) == [2, 0, 1]
