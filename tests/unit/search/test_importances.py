"""Importances of hyperparameters."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from assay.models.errors import RequestError
from assay.search.importances import EVALUATORS, compute_importances

SPACE = {
    "much": FloatDistribution(0.0, 1.0),
    "little": FloatDistribution(0.0, 1.0),
    "kind": CategoricalDistribution(["a", "b"]),
    "fixed": IntDistribution(3, 3),
}


def study_of(
    trials: int,
    value: Callable[[Mapping[str, Any]], Any],
    directions: tuple[str, ...] = ("maximize",),
    **others: Any,
) -> optuna.Study:
    """Return a study of random trials; every second one also has the parameters `others`."""
    chance = random.Random(0)
    study = optuna.create_study(directions=list(directions))
    for number in range(trials):
        space = {**SPACE, **(others if number % 2 else {})}
        params = {
            "much": chance.random(),
            "little": chance.random(),
            "kind": chance.choice(["a", "b"]),
            "fixed": 3,
            "sometimes": chance.random(),
        }
        mine = {name: params[name] for name in space}
        values = value(mine)
        study.add_trial(
            optuna.trial.create_trial(
                params=mine,
                distributions=space,
                values=values if isinstance(values, list) else [values],
            )
        )
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_importances_are_sorted_and_sum_to_one(evaluator: str, direction: str) -> None:
    study = study_of(60, lambda params: params["much"] + params["little"] / 100, (direction,))
    shares = compute_importances(study, evaluator, SPACE)
    assert set(shares) == set(SPACE)
    assert next(iter(shares)) == "much"
    assert shares["fixed"] == pytest.approx(0)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert compute_importances(study, evaluator, SPACE) == shares


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize(
    ("trials", "value"),
    [
        pytest.param(0, lambda params: params["much"], id="no trials"),
        pytest.param(3, lambda params: params["much"], id="too few"),
        pytest.param(20, lambda params: 0.5, id="all values the same"),
        pytest.param(20, lambda params: float("inf"), id="none finite"),
        pytest.param(
            20,
            lambda params: 1.0 if params["much"] > 0.97 else float("inf"),
            id="hardly any finite",
        ),
        pytest.param(
            20,
            lambda params: 1.0 if params["much"] > 0.2 else float("inf"),
            id="the finite ones the same",
        ),
    ],
)
def test_importances_are_empty_without_enough_information(
    evaluator: str, trials: int, value: Any
) -> None:
    assert compute_importances(study_of(trials, value), evaluator, SPACE) == {}


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_importances_are_empty_if_one_hyperparameter_varies(evaluator: str) -> None:
    study = study_of(20, lambda params: params["much"])
    assert compute_importances(study, evaluator, ["much", "fixed"]) == {}


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_failed_and_pruned_trials_do_not_count(evaluator: str) -> None:
    study = study_of(30, lambda params: params["much"])
    before = compute_importances(study, evaluator, SPACE)
    for state in (TrialState.FAIL, TrialState.PRUNED):
        study.add_trial(optuna.trial.create_trial(state=state))
    assert compute_importances(study, evaluator, SPACE) == before


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_values_that_are_not_finite_are_ignored(evaluator: str) -> None:
    study = study_of(40, lambda params: params["much"] if params["little"] < 0.9 else float("-inf"))
    assert next(iter(compute_importances(study, evaluator, SPACE))) == "much"


@pytest.mark.parametrize(
    ("evaluator", "told"), [("ped-anova", True), ("fanova", False), ("mdi", False)]
)
def test_conditional_hyperparameters_have_importances_if_the_evaluator_supports_them(
    evaluator: str, told: bool
) -> None:
    sometimes = {"sometimes": FloatDistribution(0.0, 1.0)}
    study = study_of(40, lambda params: params["much"] + params.get("sometimes", 0.0), **sometimes)
    shares = compute_importances(study, evaluator, [*SPACE, "sometimes", "never"])
    assert ("sometimes" in shares) == told
    assert "never" not in shares
    assert sum(shares.values()) == pytest.approx(1)


class TestSeveralObjectives:
    @pytest.fixture(scope="class")
    def study(self) -> optuna.Study:
        return study_of(
            60, lambda params: [params["much"], params["little"]], ("maximize", "minimize")
        )

    @pytest.mark.parametrize("evaluator", EVALUATORS)
    def test_each_objective_has_its_own_importances(
        self, evaluator: str, study: optuna.Study
    ) -> None:
        assert next(iter(compute_importances(study, evaluator, SPACE, objective=0))) == "much"
        assert next(iter(compute_importances(study, evaluator, SPACE, objective=1))) == "little"

    @pytest.mark.parametrize("evaluator", EVALUATORS)
    def test_importances_of_all_objectives_are_averaged(
        self, evaluator: str, study: optuna.Study
    ) -> None:
        shares = compute_importances(study, evaluator, SPACE)
        assert set(list(shares)[:2]) == {"much", "little"}
        assert sum(shares.values()) == pytest.approx(1)

    def test_an_objective_without_differences_is_left_out_of_the_mean(self) -> None:
        study = study_of(40, lambda params: [params["much"], 0.5], ("maximize", "minimize"))
        assert compute_importances(study, "mdi", SPACE) == compute_importances(
            study, "mdi", SPACE, objective=0
        )


def test_ped_anova_equals_the_default_of_optuna() -> None:
    study = study_of(40, lambda params: params["much"] + params["little"] / 2)
    assert compute_importances(study, "ped-anova", SPACE) == pytest.approx(
        optuna.importance.get_param_importances(study)
    )


def test_an_unknown_evaluator_is_refused() -> None:
    with pytest.raises(RequestError, match="Did you mean 'fanova'"):
        compute_importances(study_of(0, lambda params: 0), "fanov", SPACE)
