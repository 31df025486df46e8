"""Importance and effects of hyperparameters."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from assay.models.errors import RequestError
from assay.search.importances import (
    EVALUATORS,
    Effect,
    ImportanceReport,
    interrupted_importances,
    report_importances,
    to_importance_record,
)
from assay.search.objective import Objectives

SPACE = {
    "much": FloatDistribution(0.0, 1.0),
    "little": FloatDistribution(0.0, 1.0),
    "kind": CategoricalDistribution(["b", "a"]),
    "fixed": IntDistribution(3, 3),
}
ONE = Objectives.read(["maximize accuracy"])
TWO = Objectives.read(["maximize accuracy", "minimize cost"])
OF_OPTUNA = [name for name, evaluator in EVALUATORS.items() if evaluator.make is not None]


def study_of(
    trials: int,
    value: Callable[[Mapping[str, Any]], Any],
    directions: tuple[str, ...] = ("maximize",),
    **others: Any,
) -> optuna.Study:
    """Return a study of random trials; every second one also has the parameters `others`."""
    chance = random.Random(0)
    study = optuna.create_study(directions=list(directions))
    study.set_user_attr("assay.samplers", ["random"])
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


def report_of(
    study: optuna.Study, evaluator: str = "ranks", names: Any = (*SPACE, "sometimes")
) -> ImportanceReport:
    return report_importances(study, evaluator, names, ONE)["accuracy"]


def test_ranks_show_what_is_told_from_chance() -> None:
    chance = random.Random(1)
    study = study_of(40, lambda params: params["much"] + chance.gauss(0, 0.2))
    report = report_of(study)
    assert (report.reason, list(report.shown)) == (None, ["much"])
    much = report.shares["much"]
    assert (much.passed, much.p_value) == (True, 0.001)
    assert much.low is not None
    assert much.high is not None
    assert 0 < much.low < much.share < much.high <= 1
    assert {name: share.passed for name, share in report.shares.items()} == {
        "much": True,
        "little": False,
        "kind": False,
    }
    assert report.left_out == {"fixed": "one value in all complete trials"}
    assert report_of(study) == report


@pytest.mark.parametrize("factor", [1.0, 1e9])
def test_a_diverged_trial_counts_as_one_bad_trial(factor: float) -> None:
    study = study_of(40, lambda params: params["much"] if params["little"] < 0.97 else -factor)
    assert list(report_of(study).shown) == ["much"]
    diverged = study_of(40, lambda params: params["much"] if params["little"] < 0.97 else -math.inf)
    assert report_of(diverged).shares == report_of(study).shares


@pytest.mark.parametrize(
    ("trials", "value", "reason"),
    [
        pytest.param(
            0,
            lambda params: params["much"],
            "'ranks' takes at least 20 complete trials; the study has 0",
            id="no trials",
        ),
        pytest.param(
            19,
            lambda params: params["much"],
            "'ranks' takes at least 20 complete trials; the study has 19",
            id="too few",
        ),
        pytest.param(
            20, lambda params: 0.5, "all complete trials have the same accuracy", id="all the same"
        ),
        pytest.param(
            20,
            lambda params: -math.inf,
            "all complete trials have the same accuracy",
            id="none finite",
        ),
    ],
)
def test_without_enough_information_a_sentence_says_why(
    trials: int, value: Any, reason: str
) -> None:
    report = report_of(study_of(trials, value))
    assert (report.reason, report.shares, report.shown) == (reason, {}, {})


def test_equal_values_where_a_hyperparameter_exists_are_not_tested() -> None:
    chance = random.Random(3)
    sometimes = FloatDistribution(0.0, 1.0)
    study = study_of(
        60,
        lambda params: 0.1 if "sometimes" in params else chance.random(),
        sometimes=sometimes,
    )
    report = report_of(study)
    assert report.left_out["sometimes"] == "the same accuracy in all its complete trials"
    assert all(math.isfinite(share.share) for share in report.shares.values())


def test_nothing_passes_is_told_from_not_computed() -> None:
    chance = random.Random(2)
    study = study_of(30, lambda params: chance.random())
    record = to_importance_record(report_importances(study, "ranks", SPACE, ONE), is_single=True)
    assert record["importances"] == {}
    assert record["importance"]["reason"] == (
        "nothing can be told from chance in 30 trials (main effects only)"
    )
    assert set(record["importance"]["shares"]) == {"much", "little", "kind"}
    interrupted = interrupted_importances(study, "ranks", TWO)
    skipped = to_importance_record(interrupted, is_single=False)
    assert skipped["importances"] == {"accuracy": {}, "cost": {}}
    assert skipped["importance"]["cost"]["trials"] == 30
    assert "interrupted" in skipped["importance"]["cost"]["reason"]
    assert skipped["importance"]["cost"]["shares"] == {}


def test_one_line_says_what_is_important() -> None:
    chance = random.Random(2)
    study = study_of(60, lambda params: params["much"] + 0.01 * chance.random())
    report = report_of(study)
    assert set(report.not_shown) == {"little", "kind"}
    much = report.shares["much"]
    assert much.low is not None
    assert much.high is not None
    ends = f"{100 * much.low:.0f} to {100 * much.high:.0f}"
    assert report.summary() == (
        f"accuracy: much {100 * much.share:.0f} % ({ends}); cannot be told from chance: "
        f"{', '.join(report.not_shown)}"
    )
    few = report_of(study_of(5, lambda params: params["much"]))
    assert few.summary() == f"accuracy: {few.reason}"


@pytest.mark.parametrize("evaluator", ["ranks", "ped-anova"])
def test_failed_and_pruned_trials_do_not_count(evaluator: str) -> None:
    study = study_of(60, lambda params: params["much"])
    before = report_of(study, evaluator)
    study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
    for _ in range(2):
        pruned = optuna.trial.create_trial(
            state=TrialState.PRUNED,
            params=study.trials[0].params,
            distributions=study.trials[0].distributions,
            intermediate_values={0: 100.0},
        )
        study.add_trial(pruned)
    after = report_of(study, evaluator)
    assert (before.pruned, after.pruned, after.trials) == (0, 2, 60)
    assert (after.shares, after.effects) == (before.shares, before.effects)


@pytest.mark.parametrize(("trials", "is_tested"), [(38, False), (40, True)])
def test_a_conditional_hyperparameter_is_tested_in_the_trials_that_have_it(
    trials: int, is_tested: bool
) -> None:
    sometimes = {"sometimes": FloatDistribution(0.0, 1.0)}
    # Whether it exists has an effect, its value has none.
    study = study_of(
        trials, lambda params: params["much"] + 10 * ("sometimes" in params), **sometimes
    )
    report = report_of(study, names=[*SPACE, "sometimes", "never"])
    assert "never" not in {*report.shares, *report.left_out}
    assert ("sometimes" in report.shares) == is_tested
    assert "sometimes" not in report.shown
    if not is_tested:
        expected = "in 19 complete trials, 20 are needed"
        assert report.left_out["sometimes"] == expected


def test_a_hyperparameter_with_too_many_choices_is_left_out() -> None:
    wide = {"wide": CategoricalDistribution(list(range(100)))}
    study = optuna.create_study(direction="maximize")
    for number in range(30):
        study.add_trial(
            optuna.trial.create_trial(params={"wide": number}, distributions=wide, value=number)
        )
    report = report_of(study, names=["wide"])
    assert report.left_out == {"wide": "30 choices in 30 complete trials, two for each are needed"}
    assert report.reason == "no hyperparameter differs in enough complete trials"


# A search whose values and settings both change with time: only chance relates them.


def drifting_study(
    samplers: Sequence[str] | None, attributes: Mapping[int, Mapping[str, Any]] | None = None
) -> optuna.Study:
    """Return a study of these samplers, whose trials have attributes by number."""
    chance = random.Random(3)
    study = optuna.create_study(direction="maximize")
    if samplers is not None:
        study.set_user_attr("assay.samplers", list(samplers))
    for number in range(60):
        late = number >= 30
        study.add_trial(
            optuna.trial.create_trial(
                params={"drift": chance.random() + late},
                distributions={"drift": FloatDistribution(0.0, 2.0)},
                value=chance.random() + 2 * late,
                user_attrs=dict((attributes or {}).get(number, {})),
            )
        )
    return study


@pytest.mark.parametrize("samplers", [["random"], ["grid"], ["qmc"], ["qmc", "random"]])
def test_trials_of_samplers_that_do_not_learn_are_permuted_freely(samplers: list[str]) -> None:
    assert list(report_of(drifting_study(samplers), names=["drift"]).shown) == ["drift"]


@pytest.mark.parametrize(
    "samplers",
    [
        ["tpe"],
        ["gp"],
        ["cmaes"],
        ["nsga2"],
        ["random", "tpe"],
        ["unknown", "random"],
        ["new"],
        None,
    ],
)
def test_progress_of_a_sampler_that_learns_is_no_effect(samplers: list[str] | None) -> None:
    assert report_of(drifting_study(samplers), names=["drift"]).shown == {}


@pytest.mark.parametrize(
    ("attributes", "given"),
    [
        ({"assay.origin": "redo 5", "assay.redo_of": 5}, 3),
        # Of a trial that is no longer there, or in a circle, which no release writes.
        ({"assay.origin": "redo 999", "assay.redo_of": 999}, 2),
        ({"assay.origin": "retry 9", "assay.retry_of": 9}, 2),
    ],
)
def test_a_redone_trial_has_the_configuration_of_the_first(
    attributes: Mapping[str, Any], given: int
) -> None:
    chain = {
        4: {"assay.origin": "enqueued"},
        5: {"assay.origin": "retry 4", "assay.retry_of": 4},
        9: attributes,
    }
    assert report_of(drifting_study(["random"], chain), names=["drift"]).given == given


@pytest.mark.parametrize("origin", ["baseline", "enqueued"])
def test_configurations_that_were_given_are_no_sample(origin: str) -> None:
    attributes = {number: {"assay.origin": origin} for number in range(60)}
    report = report_of(drifting_study(["random"], attributes), names=["drift"])
    assert report.shown == {}
    assert report.reason is not None
    assert report.reason.endswith("the study has 0 beside 60 that were given")
    some = {number: attributes[number] for number in range(30, 40)}
    report = report_of(drifting_study(["random"], some), names=["drift"])
    assert (report.trials, report.given, list(report.shown)) == (60, 10, ["drift"])
    assert sum(effect.n for effect in report.effects["drift"]) == 60


# Effects.


def test_effects_are_by_choice_and_by_third_of_a_range() -> None:
    report = report_of(study_of(30, lambda params: params["much"] + 10 * (params["kind"] == "a")))
    b, a = report.effects["kind"]
    assert (b.group, a.group, a.n + b.n) == ("b", "a", 30)
    assert a.mean == pytest.approx(b.mean + 10, abs=0.5)
    thirds = report.effects["much"]
    assert [third.n for third in thirds] == [10, 10, 10]
    bounds = [float(text) for third in thirds for text in third.group.split(" to ")]
    assert bounds == sorted(bounds)
    assert "fixed" not in report.effects


def test_an_effect_is_mean_and_standard_deviation() -> None:
    study = study_of(3, lambda params: params["much"])
    kinds = [trial.params["kind"] for trial in study.trials]
    single, pair = sorted(set(kinds), key=kinds.count)
    effects = {effect.group: effect for effect in report_of(study).effects["kind"]}
    (alone,) = (trial.value for trial in study.trials if trial.params["kind"] == single)
    assert effects[single] == Effect(single, 1, alone, None)
    low, high = sorted(trial.value for trial in study.trials if trial.params["kind"] == pair)
    assert effects[pair].mean == pytest.approx((low + high) / 2)
    assert effects[pair].sd == pytest.approx((high - low) / math.sqrt(2))


@pytest.mark.parametrize("diverged", [1e200, -1e308, math.inf])
def test_effects_of_a_diverged_trial_are_not_finite(diverged: float) -> None:
    study = study_of(30, lambda params: diverged if params["much"] > 0.9 else params["much"])
    *usual, last = report_of(study).effects["much"]
    assert all(effect.sd is not None and effect.sd < 1 for effect in usual)
    assert last.sd is not None
    assert abs(last.mean) > 1e100
    assert not math.isfinite(last.sd)


# Optuna's evaluators.


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("evaluator", OF_OPTUNA)
def test_shares_of_optuna_are_sorted_and_sum_to_one(evaluator: str, direction: str) -> None:
    study = study_of(
        60, lambda params: params["much"] + params["little"] / 100, directions=(direction,)
    )
    report = report_of(study, evaluator)
    shares = report.shown
    assert set(shares) == set(SPACE)
    assert next(iter(shares)) == "much"
    assert shares["fixed"] == pytest.approx(0)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert report_of(study, evaluator) == report


@pytest.mark.parametrize("evaluator", OF_OPTUNA)
@pytest.mark.parametrize(
    ("trials", "value", "reason"),
    [
        pytest.param(
            49,
            lambda params: params["much"],
            "takes at least 50 complete trials; the study has 49; 'ranks' takes 20",
            id="too few",
        ),
        pytest.param(50, lambda params: 0.5, "finds no differences to share", id="all the same"),
        pytest.param(
            50, lambda params: float("inf"), "finds no differences to share", id="none finite"
        ),
        pytest.param(
            50,
            lambda params: 1.0 if params["much"] > 0.2 else float("inf"),
            "finds no differences to share",
            id="the finite ones the same",
        ),
    ],
)
def test_optuna_says_why_it_has_no_shares(
    evaluator: str, trials: int, value: Any, reason: str
) -> None:
    report = report_of(study_of(trials, value), evaluator)
    assert (report.reason, report.shown) == (f"{evaluator!r} {reason}", {})


@pytest.mark.parametrize("evaluator", OF_OPTUNA)
def test_optuna_has_no_shares_if_one_hyperparameter_varies(evaluator: str) -> None:
    study = study_of(50, lambda params: params["much"])
    report = report_of(study, evaluator, ["much", "fixed"])
    assert report.shown == {}
    assert "at least 2 hyperparameters" in str(report.reason)


@pytest.mark.parametrize("evaluator", OF_OPTUNA)
def test_values_that_are_not_finite_are_ignored_by_optuna(evaluator: str) -> None:
    study = study_of(60, lambda params: params["much"] if params["little"] < 0.9 else float("-inf"))
    assert next(iter(report_of(study, evaluator).shown)) == "much"


@pytest.mark.parametrize(
    ("evaluator", "is_evaluated"), [("ped-anova", True), ("fanova", False), ("mdi", False)]
)
def test_optuna_evaluates_conditional_hyperparameters_if_it_can(
    evaluator: str, is_evaluated: bool
) -> None:
    sometimes = {"sometimes": FloatDistribution(0.0, 1.0)}
    study = study_of(60, lambda params: params["much"] + params.get("sometimes", 0.0), **sometimes)
    report = report_of(study, evaluator)
    assert ("sometimes" in report.shown) == is_evaluated
    assert ("sometimes" in report.left_out) != is_evaluated
    assert sum(report.shown.values()) == pytest.approx(1)


def test_ped_anova_equals_the_default_of_optuna() -> None:
    study = study_of(60, lambda params: params["much"] + params["little"] / 2)
    assert report_of(study, "ped-anova").shown == pytest.approx(
        optuna.importance.get_param_importances(study)
    )


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_each_objective_has_its_own_report(evaluator: str) -> None:
    study = study_of(
        60,
        lambda params: [params["much"], params["little"]],
        directions=("maximize", "minimize"),
    )
    reports = report_importances(study, evaluator, SPACE, TWO)
    assert [next(iter(report.shown)) for report in reports.values()] == ["much", "little"]
    assert [report.metric for report in reports.values()] == ["accuracy", "cost"]


def test_an_unknown_evaluator_is_refused() -> None:
    with pytest.raises(RequestError, match="Did you mean 'fanova'"):
        report_of(study_of(0, lambda params: 0), "fanov")
