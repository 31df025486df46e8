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


WRONG_WAY = [
    *(("maximize", name) for name in ("loss", "val_loss", "val_mae", "mse", "val_rmse", "hinge")),
    *(("maximize", name) for name in ("parameters", "train_seconds", "peak_memory_bytes")),
    *(("minimize", name) for name in ("accuracy", "val_accuracy", "val_auc", "f1", "precision")),
    *(("minimize", name) for name in ("val_recall", "val_r2_score", "mean_io_u", "val_kappa")),
    *(("maximize", name) for name in ("val_reconstruction_loss", "hamming_loss", "top_5_error")),
    *(("minimize", name) for name in ("val_main_output_accuracy", "pr_auc", "val_macro_f1")),
]
OPPOSITE = {"maximize": "minimize", "minimize": "maximize"}


class TestDirections:
    @pytest.mark.parametrize(("direction", "metric"), WRONG_WAY)
    def test_the_worst_value_of_a_known_metric_is_refused(
        self, direction: str, metric: str
    ) -> None:
        objectives = Objectives.read([f"{direction} {metric}"])
        meant = f"write {OPPOSITE[direction]} {metric}, or any_direction = true"
        with pytest.raises(RequestError, match=meant):
            objectives.check_directions()
        Objectives.read([f"{OPPOSITE[direction]} {metric}"]).check_directions()

    @pytest.mark.parametrize("direction", ["maximize", "minimize"])
    @pytest.mark.parametrize(
        "metric",
        [
            *("loss_margin", "val_inaccuracy", "precision_gap", "autoloss", "val_", "entropy"),
            *("neg_mean_squared_error", "val_negative_loss", "minus_val_loss"),
        ],
    )
    def test_other_names_go_both_ways(self, direction: str, metric: str) -> None:
        Objectives.read([f"{direction} {metric}"]).check_directions()

    @pytest.mark.parametrize("name", ["gap", "val_gap"])
    def test_a_users_own_metric_has_the_direction_that_is_given(self, name: str) -> None:
        objectives = Objectives.read(["maximize val_gap"])
        objectives.check_directions({name: "maximize"})
        with pytest.raises(RequestError, match="write minimize val_gap"):
            objectives.check_directions({name: "minimize"})

    def test_the_given_direction_counts_before_the_usual_one(self) -> None:
        Objectives.read(["minimize val_precision"]).check_directions({"precision": "minimize"})

    def test_the_second_of_several_is_checked_too(self) -> None:
        with pytest.raises(RequestError, match="write minimize parameters"):
            Objectives.read(["maximize val_accuracy", "maximize parameters"]).check_directions()


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
