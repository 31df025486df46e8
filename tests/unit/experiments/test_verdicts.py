"""Verdicts on two configurations, what a budget finds, and the leader."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from assay.experiments.evaluation.budget import (
    compute_power,
    find_level,
    format_needed_budget,
    format_smallest_gap,
    needed_seeds,
    smallest_gap,
)
from assay.experiments.evaluation.proportions import wilson_interval
from assay.experiments.evaluation.summaries import choose_leader, mean_interval
from assay.experiments.evaluation.verdicts import (
    Comparison,
    Variances,
    adjust_by_holm,
    compare_scores,
    generalization_interval,
    judge,
)
from assay.models.errors import RequestError
from tests.simulations.probit import Configuration, Correlations, ProbitModel

compare = functools.partial(compare_scores, greater_is_better=True)
compare_errors = functools.partial(compare_scores, greater_is_better=False)


def right(
    shift: float = 0.0, seeds: int = 5, examples: int = 400, seed: int = 0, difficulty: int = 99
) -> NDArray[np.bool_]:
    """Return which examples the networks of a configuration get right."""
    hard = np.random.default_rng(difficulty).standard_normal(examples)
    random = np.random.default_rng(seed)
    luck = 0.05 * random.standard_normal((seeds, 1))
    return hard + luck + 0.5 * random.standard_normal((seeds, examples)) < 1.5 + shift


def components(scores: Any) -> tuple[float, float]:
    """Return the variance over seeds and the residual of one configuration, by loops and sums."""
    table = [[float(value) for value in row] for row in scores]
    seeds, examples = len(table), len(table[0])
    by_seed = [math.fsum(row) / examples for row in table]
    by_example = [math.fsum(row[i] for row in table) / seeds for i in range(examples)]
    grand = math.fsum(by_seed) / seeds
    over_seeds = math.fsum((mean - grand) ** 2 for mean in by_seed)
    squares = (
        math.fsum(value**2 for row in table for value in row)
        - seeds * examples * grand**2
        - examples * over_seeds
        - seeds * math.fsum((mean - grand) ** 2 for mean in by_example)
    )
    residual = squares / ((seeds - 1) * (examples - 1)) / (seeds * examples)
    return over_seeds / (seeds - 1) / seeds, max(residual, 0.0)


def expected(first: Any, second: Any) -> dict[str, float]:
    """Return difference, interval, p-value and degrees of freedom by the written formulas."""
    differences = [
        sum(map(float, a)) / len(a) - sum(map(float, b)) / len(b)
        for a, b in zip(first.T, second.T, strict=True)
    ]
    n, numbers = len(differences), (len(first), len(second))
    d = math.fsum(differences) / n
    v_ex = math.fsum((value - d) ** 2 for value in differences) / (n - 1) / n
    (seed_a, res_a), (seed_b, res_b) = components(first), components(second)
    v = max(v_ex, seed_a + seed_b, v_ex + seed_a + seed_b - res_a - res_b)
    by_seeds = seed_a**2 / (numbers[0] - 1) + seed_b**2 / (numbers[1] - 1)
    if min(numbers) < 5:
        by_seeds = (seed_a + seed_b) ** 2 / (min(numbers) - 1)
    freedom = v**2 / (by_seeds + v_ex**2 / (n - 1))
    low, high = stats.t.interval(0.95, freedom, loc=d, scale=math.sqrt(v))
    p = 2 * stats.t.cdf(-abs(d) / math.sqrt(v), freedom)
    return {"difference": d, "low": low, "high": high, "p_value": p, "degrees_of_freedom": freedom}


@pytest.mark.parametrize("seeds", [(3, 3), (4, 6), (5, 5), (10, 7)])
@pytest.mark.parametrize("kind", ["accuracy", "error"])
def test_a_comparison_follows_the_formulas(seeds: tuple[int, int], kind: str) -> None:
    first, second = right(0.1, seeds[0], 90), right(-0.2, seeds[1], 90, seed=1)
    if kind == "error":
        noise = np.random.default_rng(5).exponential(size=90)
        first, second = first * noise + 0.1 * noise**2, second * noise
    comparison = compare(first, second)
    for name, value in expected(first, second).items():
        assert getattr(comparison, name) == pytest.approx(value, rel=1e-9), name


def test_without_effects_of_seeds_it_is_the_paired_t_test_over_examples() -> None:
    random = np.random.default_rng(0)
    a, b = random.exponential(size=(2, 60))
    comparison = compare(np.tile(a, (5, 1)), np.tile(b, (5, 1)))
    test = stats.ttest_rel(a, b)
    assert comparison.p_value == pytest.approx(test.pvalue)
    assert (comparison.low, comparison.high) == pytest.approx(tuple(test.confidence_interval()))
    assert comparison.degrees_of_freedom == pytest.approx(59)


def test_without_effects_of_examples_it_is_welchs_test_over_seeds() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal(6), 3 * random.standard_normal(8)
    comparison = compare(np.tile(a[:, None], 50), np.tile(b[:, None], 50))
    test = stats.ttest_ind(a, b, equal_var=False)
    assert comparison.p_value == pytest.approx(test.pvalue)
    assert comparison.degrees_of_freedom == pytest.approx(test.df)


def test_the_variance_is_not_below_one_of_its_components() -> None:
    assert Variances(4.0, (1.0, 1.0), (0.5, 0.5)).total == 5.0
    assert Variances(4.0, (1.0, 1.0), (2.0, 1.0)).total == 4.0
    assert Variances(1.0, (2.0, 2.0), (2.0, 1.0)).total == 4.0


@pytest.mark.parametrize("seeds", [3, 5])
def test_identical_networks_are_not_separable(seeds: int) -> None:
    comparison = compare(right(seeds=seeds), right(seeds=seeds))
    assert comparison.verdict == "not separable"
    assert comparison.difference == 0
    assert comparison.differing_examples == 0
    assert comparison.p_value is None
    assert comparison.reason == "the two do not differ on any example"


@pytest.mark.parametrize("value", [0, 1, 0.1, 1 / 3])
def test_equal_predictions_give_no_interval_and_no_warning(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = compare(np.full((5, 70), value), np.full((5, 70), value))
    assert comparison.verdict == "not separable"
    assert (comparison.low, comparison.high, comparison.p_value) == (None, None, None)


def test_scores_without_any_variance_are_not_separable() -> None:
    comparison = compare(np.full((5, 70), 0.1), np.full((5, 70), 0.3))
    assert comparison.verdict == "not separable"
    assert comparison.reason == "the scores do not vary over seeds or examples"
    assert comparison.difference == pytest.approx(-0.2)


def test_the_same_networks_in_another_order_do_not_differ() -> None:
    errors = np.random.default_rng(0).exponential(size=(5, 80))
    assert compare_errors(errors, errors[::-1]).differing_examples == 0


def test_one_configuration_on_other_seeds_is_not_separable() -> None:
    comparison = compare(right(seed=1), right(seed=2))
    assert comparison.differing_examples > 6
    assert comparison.verdict == "not separable"
    assert comparison.reason == "the 95 % interval includes 0"


def test_a_clearly_worse_configuration_is_worse_and_the_other_better() -> None:
    good, bad = right(0.0), right(-0.8, seed=1)
    assert compare(bad, good).verdict == "worse"
    assert compare(good, bad).verdict == "better"
    assert compare(bad, good).reason == "the 95 % interval excludes 0; p < 0.001"


def test_a_lower_error_is_better() -> None:
    random = np.random.default_rng(0)
    low, high = random.exponential(1.0, size=(5, 300)), random.exponential(2.0, size=(5, 300))
    comparison = compare_errors(low, high)
    assert comparison.difference < 0
    assert comparison.verdict == "better"
    assert compare_errors(high, low).verdict == "worse"


@pytest.mark.parametrize(("seeds", "few"), [(3, True), (4, True), (5, False), (10, False)])
def test_three_and_four_seeds_are_marked_few(seeds: int, few: bool) -> None:
    comparison = compare(right(seeds=10), right(seeds=seeds, seed=1))
    assert comparison.few_seeds is few
    assert comparison.notes == ((f"Few seeds (10 and {seeds}).",) if few else ())


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_not_judged(seeds: int) -> None:
    comparison = compare(right(seeds=seeds), right(-2.0, seed=1))
    assert comparison.verdict == "not separable"
    assert comparison.reason == f"fewer than 3 seeds ({seeds} and 5)"
    assert comparison.p_value is None
    assert not comparison.few_seeds


@pytest.mark.parametrize(("examples", "verdict"), [(5, "not separable"), (6, "worse")])
def test_a_verdict_takes_six_differing_examples(examples: int, verdict: str) -> None:
    good = np.ones((5, 500))
    bad = good.copy()
    bad[:, :examples] = 0
    comparison = compare(bad, good)
    assert comparison.differing_examples == examples
    # Six examples of 500 give t = -2.46; the interval of five excludes 0 as well.
    assert comparison.high is not None
    assert comparison.high < 0
    assert comparison.verdict == verdict


@pytest.mark.parametrize(("louder", "unequal"), [(3.9, False), (4.1, True)])
def test_an_unequal_spread_over_seeds_is_said(louder: float, unequal: bool) -> None:
    luck = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[:, None]
    noise = np.random.default_rng(0).standard_normal((2, 60))
    first, second = noise[0] + luck, noise[1] + louder * luck
    assert compare(first, second).unequal_spread is unequal
    assert compare(second, first).unequal_spread is unequal
    assert bool(compare(first, second).notes) is unequal


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(right(), right(seed=1), id="judged"),
        pytest.param(right(), right(), id="identical"),
        pytest.param(right(seeds=1), right(seeds=1, seed=1), id="one seed"),
        pytest.param(right(examples=1), right(examples=1, seed=1), id="one example"),
        pytest.param(np.zeros((5, 9)), np.ones((5, 9)), id="no variance"),
    ],
)
def test_a_comparison_goes_into_json(first: Any, second: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = compare(first, second)
    kept = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert kept["verdict"] == comparison.verdict
    assert kept["reason"] == comparison.reason
    assert kept["seeds"] == list(comparison.seeds)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        pytest.param(right(), right(examples=9), "400 and 9 examples", id="other examples"),
        pytest.param(right()[0], right(), r"received \(400,\)", id="no seeds"),
        pytest.param(np.zeros((0, 4)), right(), r"received \(0, 4\)", id="empty"),
        pytest.param([[0.0, math.nan]], right(), "received nan", id="nan"),
        pytest.param([[0.0, math.inf]], right(), "received inf", id="infinite"),
        pytest.param([[0.0, 1e80]], right(), "received 1e\\+80", id="too large"),
    ],
)
def test_scores_that_can_not_be_compared_are_refused(first: Any, second: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        compare(first, second)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.2, math.nan])
def test_a_level_above_that_of_the_interval_is_refused(alpha: float) -> None:
    with pytest.raises(RequestError, match="alpha must be above 0 and at most"):
        compare(right(), right(seed=1), alpha=alpha)


@given(
    shift=st.floats(-0.5, 0.5),
    seeds=st.integers(3, 7),
    other=st.integers(3, 7),
    seed=st.integers(0),
)
@settings(max_examples=30, deadline=None)
def test_the_interval_excludes_zero_exactly_where_a_verdict_falls(
    shift: float, seeds: int, other: int, seed: int
) -> None:
    first, second = right(shift, seeds, 60, seed), right(0.0, other, 60, 99)
    one, reverse = compare(first, second), compare(second, first)
    assert one.difference == pytest.approx(-reverse.difference)
    assert one.p_value == (None if reverse.p_value is None else pytest.approx(reverse.p_value))
    if one.p_value is not None and one.low is not None and one.high is not None:
        assert one.low < one.difference < one.high
        assert (one.verdict != "not separable") is (one.low > 0 or one.high < 0)
        assert {one.verdict, reverse.verdict} in ({"better", "worse"}, {"not separable"})


def with_p(p_value: float | None, difference: float = 0.01) -> Comparison:
    return dataclasses.replace(
        compare(right(), right(seed=1)), p_value=p_value, difference=difference
    )


def test_holm_by_hand() -> None:
    # In order 0.01, 0.02, 0.03 and 1, times 4, 3, 2 and 1: 0.04, 0.06, 0.06 and 1.
    judged = adjust_by_holm([with_p(0.03), with_p(0.01), with_p(None), with_p(0.02)])
    assert [one.adjusted_p_value for one in judged] == [
        pytest.approx(0.06), pytest.approx(0.04), None, pytest.approx(0.06),
    ]  # fmt: skip
    assert [one.threshold for one in judged] == pytest.approx([0.025, 0.0125, 0.05, 0.05 / 3])
    assert [one.verdict for one in judged] == ["not separable", "better"] + 2 * ["not separable"]
    assert all(one.family_size == 4 for one in judged)


def test_holm_stops_at_the_first_comparison_that_fails() -> None:
    # 0.024 is below its own level of 0.025, but 0.018 is not below 0.05 / 3.
    judged = adjust_by_holm([with_p(0.024), with_p(0.018), with_p(0.9)])
    assert {one.verdict for one in judged} == {"not separable"}
    assert judged[0].reason == (
        "the 95 % interval excludes 0, but p = 0.054, adjusted for 3 comparisons, is not below 0.05"
    )


def test_all_pairs_are_judged_and_the_leader_is_second() -> None:
    scores = {
        "a": right(seed=1),
        "b": right(seed=2),
        "leader": right(seed=3),
        "bad": right(-1.0, seed=4),
    }
    judged = judge(scores, "leader", compare=compare)
    assert list(judged) == [
        ("a", "leader"), ("b", "leader"), ("bad", "leader"), ("b", "a"), ("bad", "a"), ("bad", "b"),
    ]  # fmt: skip
    assert {one.family_size for one in judged.values()} == {6}
    verdicts = {pair: one.verdict for pair, one in judged.items()}
    assert {pair for pair, verdict in verdicts.items() if verdict == "worse"} == {
        ("bad", "leader"), ("bad", "a"), ("bad", "b"),
    }  # fmt: skip
    assert "better" not in verdicts.values()


def test_the_third_opening_is_judged_at_a_quarter_of_the_level() -> None:
    scores = {"leader": right(seed=1), "other": right(seed=2)}
    one = judge(scores, "leader", compare=compare, openings=3)["other", "leader"]
    assert one.alpha == one.threshold == 0.0125
    borderline = adjust_by_holm([with_p(0.02)], 0.025), adjust_by_holm([with_p(0.02)], 0.0125)
    assert [each[0].verdict for each in borderline] == ["better", "not separable"]


@pytest.mark.parametrize(
    ("leader", "openings", "message"),
    [("c", 1, "received 'c' and scores of a, b"), ("a", 0, "openings must be 1 or more")],
)
def test_wrong_requests_to_judge_are_refused(leader: str, openings: int, message: str) -> None:
    scores = {"a": right(), "b": right(seed=1)}
    with pytest.raises(RequestError, match=message):
        judge(scores, leader, compare=compare, openings=openings)


def test_a_leader_alone_has_no_comparisons() -> None:
    assert judge({"a": right()}, "a", compare=compare) == {}


def comparison_of(variances: Variances, examples: int, seeds: int = 5) -> Comparison:
    """Return a judged comparison with these components."""
    return dataclasses.replace(
        compare(right(), right(-0.5, seed=1)),
        variances=variances,
        seeds=(seeds, seeds),
        examples=examples,
    )


@pytest.mark.parametrize("freedom", [2.0, 8.0, 60.0])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_the_power_is_that_of_simulated_t_tests(freedom: float, level: float) -> None:
    random = np.random.default_rng(0)
    chi = np.sqrt(random.chisquare(freedom, 200_000) / freedom)
    t = (random.standard_normal(200_000) + 2.5) / chi
    share = (np.abs(t) > stats.t.isf(level / 2, freedom)).mean()
    assert compute_power(2.5, freedom, level) == pytest.approx(share, abs=0.005)


def test_the_smallest_gap_has_a_power_of_four_in_five() -> None:
    comparison = compare(right(), right(-0.5, seed=1))
    gap = smallest_gap(comparison)
    assert gap is not None
    assert comparison.variances is not None
    assert comparison.degrees_of_freedom is not None
    ratio = gap / math.sqrt(comparison.variances.total)
    assert compute_power(ratio, comparison.degrees_of_freedom, 0.05) == pytest.approx(0.8)
    stricter = smallest_gap(adjust_by_holm([comparison] * 3)[0])
    assert stricter is not None
    assert stricter > gap
    assert find_level(adjust_by_holm([comparison] * 3)[2]) == pytest.approx(0.05 / 3)


def test_the_smallest_gap_nears_the_normal_approximation() -> None:
    variances = Variances(1e-4, (0.0, 0.0))
    gap = smallest_gap(comparison_of(variances, examples=10**6))
    assert gap == pytest.approx(math.sqrt(7.849 * 1e-4), rel=1e-3)


# The floor is 2e-6 and the part that seeds reduce 5 x 1e-5: V(k) = 2e-6 + 5e-5 / k.
_COMPONENTS = Variances(6e-6, (5e-6, 5e-6), (2e-6, 2e-6))


@pytest.mark.parametrize(
    ("gap", "sentence"),
    [
        (0.03, "A true gap of 3 points takes 3 seeds on these 1,000 test examples."),
        (
            0.0045,
            "A true gap of 0.45 points takes more than 50 seeds on these 1,000 test examples.",
        ),
        (
            0.0039,
            "No number of seeds finds a true gap of 0.39 points on these 1,000 test examples in "
            "4 of 5 studies: it takes about 1,100 test examples.",
        ),
        (0.001, "No number of seeds finds a true gap of 0.1 points on these 1,000 test examples "
                "in 4 of 5 studies: it takes about 16,000 test examples."),
    ],
)  # fmt: skip
def test_what_a_gap_takes_has_three_outcomes(gap: float, sentence: str) -> None:
    needed = needed_seeds(comparison_of(_COMPONENTS, 1000), gap)
    assert format_needed_budget(needed) == sentence


@pytest.mark.parametrize("gap", [0.006, 0.008, 0.01, 0.015])
def test_the_needed_seeds_are_the_fewest_with_enough_power(gap: float) -> None:
    needed = needed_seeds(comparison_of(_COMPONENTS, 1000), gap)
    assert needed is not None
    assert needed.seeds is not None

    def power(k: int) -> float:
        variance = 2e-6 + 5e-5 / k
        examples = 2e-6 + 2e-5 / k
        by_seeds = (5e-5 / k) ** 2 / (k - 1) if k < 5 else 2 * (2.5e-5 / k) ** 2 / (k - 1)
        freedom = variance**2 / (by_seeds + examples**2 / 999)
        critical = stats.t.isf(0.025, freedom)
        return float(stats.nct.sf(critical, freedom, gap / math.sqrt(variance)))

    assert power(needed.seeds) >= 0.8
    assert all(power(k) < 0.8 for k in range(3, needed.seeds))


def test_the_present_seeds_keep_their_variance() -> None:
    projected = _COMPONENTS.project((5, 5), 5)
    assert projected.total == pytest.approx(_COMPONENTS.total)
    assert _COMPONENTS.project((5, 10), 5).seeds == pytest.approx((5e-6, 10e-6))


@given(
    examples=st.floats(1e-8, 1e-3),
    seeds=st.floats(0, 1e-3),
    residual=st.floats(0, 1e-3),
    gaps=st.tuples(st.floats(1e-4, 0.2), st.floats(1e-4, 0.2)),
)
@settings(max_examples=30, deadline=None)
def test_a_larger_gap_never_takes_more(
    examples: float, seeds: float, residual: float, gaps: tuple[float, float]
) -> None:
    variances = Variances(examples, (seeds, seeds / 2), (residual, residual))
    smaller, larger = (needed_seeds(comparison_of(variances, 900), gap) for gap in sorted(gaps))
    assert smaller is not None
    assert larger is not None

    def cost(needed: Any) -> tuple[int, int]:
        return (needed.test_examples or 0, 99 if needed.seeds is None else needed.seeds)

    assert cost(larger) <= cost(smaller)


@given(scale=st.floats(0.01, 100), seeds=st.integers(3, 12))
@settings(max_examples=15, deadline=None)
def test_more_variance_raises_the_smallest_gap(scale: float, seeds: int) -> None:
    of_seeds, residual = 5e-6 * scale, 2e-6 * scale
    larger = Variances(6e-6 * scale, (of_seeds, of_seeds), (residual, residual))
    one = smallest_gap(comparison_of(_COMPONENTS, 1000, seeds))
    other = smallest_gap(comparison_of(larger, 1000, seeds))
    assert one is not None
    assert other == pytest.approx(one * math.sqrt(scale))


def test_a_level_that_no_gap_reaches_has_no_smallest_gap() -> None:
    few = comparison_of(Variances(1e-4, (1e-4, 0.0), (1e-4, 0.0)), examples=7, seeds=3)
    assert smallest_gap(few, level=0.001) is not None
    assert smallest_gap(few, level=1e-12) is None


def test_nothing_is_said_of_the_budget_of_a_comparison_that_was_not_judged() -> None:
    comparison = compare(right(), right())
    assert smallest_gap(comparison) is None
    assert needed_seeds(comparison, 0.01) is None
    assert "can't be estimated" in format_smallest_gap(None, "trials 1 and 3")
    assert "can't be estimated" in format_needed_budget(None)


@pytest.mark.parametrize("gap", [0.0, -0.01, math.nan, math.inf])
def test_a_gap_must_be_above_zero(gap: float) -> None:
    with pytest.raises(RequestError, match="gap must be a number above 0"):
        needed_seeds(compare(right(), right(seed=1)), gap)


@pytest.mark.parametrize(
    ("gap", "in_points", "sentence"),
    [
        (0.00944, True, "A true gap of about 0.94 points between trials 1 and 3 would be found "
                        "with 80 % probability."),
        (0.01, True, "A true gap of about 1 point between trials 1 and 3 would be found with 80 % "
                     "probability."),
        (1.234, True, "No true gap between trials 1 and 3 would be found with 80 % probability: it "
                      "would be above 100 points."),
        (1.234, False, "A true gap of about 1.2 between trials 1 and 3 would be found with 80 % "
                       "probability."),
    ],
)  # fmt: skip
def test_the_smallest_gap_is_one_sentence(gap: float, in_points: bool, sentence: str) -> None:
    assert format_smallest_gap(gap, "trials 1 and 3", in_points=in_points) == sentence


def test_the_smallest_gap_of_several_comparisons_names_their_number() -> None:
    sentence = format_smallest_gap(0.02, "a and b", comparisons=55)
    assert sentence.endswith("with 80 % probability (adjusted for 55 comparisons).")


@pytest.mark.parametrize(("accuracy", "seed_sd"), [(0.9, 0.0), (0.9, 0.02), (0.99, 0.003)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_generalization_interval_covers_the_mean_over_new_examples(
    accuracy: float, seed_sd: float, seeds: int
) -> None:
    model = ProbitModel([Configuration(accuracy, seed_sd)], Correlations(0.5, 0.5))
    random = np.random.default_rng(7)
    studies, covered, narrower = 200, 0, 0
    for _ in range(studies):
        ((scores,),) = model.draw(random, seeds, 1_000)
        found = generalization_interval(scores, is_share=True)
        assert found is not None
        covered += found.low <= accuracy <= found.high
        alone = mean_interval(scores.mean(axis=1))
        assert alone.low is not None
        narrower += alone.low > accuracy or accuracy > (alone.high or 0.0)
    # Of 200 at a coverage of 95 %, 181 or fewer occur once in 200 runs.
    assert covered > 181
    # Seeds alone miss it far more often: the examples are a sample too.
    assert narrower > studies - covered


def test_networks_that_are_always_right_need_not_be_on_new_examples() -> None:
    found = generalization_interval(np.ones((5, 400)), is_share=True)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((wilson_interval(1.0, 400).low, 1.0))
    # More seeds on the same examples are no more examples.
    more = generalization_interval(np.ones((50, 400)), is_share=True)
    assert more is not None
    assert more.low == pytest.approx(found.low)


def test_the_generalization_of_an_error_has_the_variance_of_a_comparison() -> None:
    errors = np.random.default_rng(0).gamma(2.0, size=(5, 300))
    found = generalization_interval(errors, is_share=False)
    compared = compare_scores(errors, np.zeros_like(errors), greater_is_better=False)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((compared.low, compared.high))


def test_errors_are_not_negative_on_new_examples() -> None:
    errors = np.random.default_rng(0).gamma(0.02, size=(3, 12))
    found = generalization_interval(errors, is_share=False)
    assert found is not None
    assert found.low == 0.0


def test_few_networks_have_no_generalization_interval() -> None:
    for seeds in (1, 2):
        assert generalization_interval(np.ones((seeds, 300)), is_share=True) is None


def test_a_mean_over_seeds_has_the_t_interval() -> None:
    values = [0.91, 0.93, 0.95, 0.92]
    found = mean_interval(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.seeds == 4


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = mean_interval([0.9])
    assert (found.mean, found.sd, found.low, found.high) == (0.9, None, None, None)


@pytest.mark.parametrize("values", [[], [0.9, math.nan], [[0.9]]])
def test_a_mean_takes_finite_values(values: list[Any]) -> None:
    with pytest.raises(RequestError, match="one finite value per seed"):
        mean_interval(values)


@pytest.mark.parametrize(
    ("means", "greater_is_better", "leader"),
    [
        ({"a": 0.8, "b": 0.9, "c": 0.7}, True, "b"),
        ({"a": 0.8, "b": 0.9, "c": 0.7}, False, "c"),
        ({"a": 0.9, "b": 0.9}, True, "a"),
        ({"b": 0.9, "a": 0.9}, False, "b"),
        ({"a": math.nan, "b": 0.1}, True, "b"),
        ({"a": math.inf, "b": 0.1}, True, "b"),
    ],
)
def test_the_leader_has_the_best_validation_mean(
    means: Mapping[str, float], greater_is_better: bool, leader: str
) -> None:
    assert choose_leader(means, greater_is_better=greater_is_better) == leader


@pytest.mark.parametrize("means", [{}, {"a": math.nan}])
def test_a_leader_takes_a_finite_mean(means: Mapping[str, float]) -> None:
    with pytest.raises(RequestError, match="A leader takes a finite mean"):
        choose_leader(means, greater_is_better=True)
