"""The claim about the best value: its numbers against other computations, and its words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from assay.experiments.evaluation.best_claim import BestClaim, claim_best
from assay.experiments.evaluation.proportions import (
    is_share,
    is_share_metric,
    largest_noise,
    luck_of_best,
    network_interval,
    reach_of_guessing,
    wilson_interval,
)
from assay.experiments.evaluation.study_facts import StudyFacts, Training, ValidationFacts
from tests.helpers.facts import IMAGES, facts


def claim(study: StudyFacts) -> BestClaim:
    found = claim_best(study)
    assert found is not None
    return found


@pytest.mark.parametrize(("right", "examples"), [(0, 10), (7, 10), (76, 80), (80, 80), (1, 10**5)])
def test_the_interval_is_scipys(right: int, examples: int) -> None:
    expected = binomtest(right, examples).proportion_ci(0.95, method="wilson")
    found = wilson_interval(right / examples, examples)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("share", "examples", "tried"), [(0.95, 80, 30), (0.6, 1000, 5)])
def test_the_lower_end_is_where_the_score_test_rejects(
    share: float, examples: int, tried: int
) -> None:
    z = norm.isf(0.05 / tried)
    expected = brentq(
        lambda p: (share - p) - z * math.sqrt(p * (1 - p) / examples), 1e-9, share - 1e-9
    )
    assert network_interval(share, examples, tried).low == pytest.approx(expected)


def test_the_lower_end_of_few_trials_is_no_higher_than_that_of_one_network() -> None:
    assert network_interval(0.9, 100, 1) == wilson_interval(0.9, 100)
    lows = [network_interval(0.9, 100, tried).low for tried in (1, 2, 5, 30, 1000)]
    assert lows == sorted(lows, reverse=True)


@pytest.mark.parametrize("number", [2, 5, 30])
def test_luck_is_the_expected_lead_of_the_best_of_equals(number: int) -> None:
    shares = np.random.default_rng(0).binomial(1000, 0.9, (20_000, number)) / 1000
    expected = shares.max(axis=1).mean() - 0.9
    assert luck_of_best([0.9] * number, 1000) == pytest.approx(expected, rel=0.06)


def test_a_perfect_best_is_not_free_of_luck() -> None:
    assert luck_of_best([1.0, 0.98, 0.99], 100) > 0.005


def test_the_noise_of_two_networks_is_that_of_independent_shares() -> None:
    random = np.random.default_rng(0)
    differences = (random.binomial(500, 0.9, 100_000) - random.binomial(500, 0.9, 100_000)) / 500
    beyond = (differences > largest_noise(0.9, 0.9, 500, tried=5)).mean()
    assert beyond == pytest.approx(0.05 / 5, rel=0.2)


@pytest.mark.parametrize(("examples", "tried"), [(80, 30), (239, 8), (1000, 1)])
def test_guessing_exceeds_its_reach_as_rarely_as_said(examples: int, tried: int) -> None:
    def tail(above: int) -> float:
        return sum(
            math.comb(examples, k) * 0.1**k * 0.9 ** (examples - k)
            for k in range(above + 1, examples // 2)
        )

    reach = round(reach_of_guessing(0.1, examples, tried) * examples)
    assert tail(reach) <= 0.05 / tried < tail(reach - 1)


@pytest.mark.parametrize(
    ("metric", "is_one"),
    [
        ("val_accuracy", True),
        ("val_sparse_categorical_accuracy", True),
        ("accuracy", False),
        ("val_loss", False),
        ("val_balanced_accuracy", False),
        ("val_f1", False),
    ],
)
def test_only_means_of_right_answers_are_shares(metric: str, is_one: bool) -> None:
    assert is_share_metric(metric) is is_one


@pytest.mark.parametrize("examples", [1, 3, 239, 10_000, 1_000_000])
def test_a_float32_of_a_share_is_a_share(examples: int) -> None:
    for right in {0, 1, examples // 3, examples - 1, examples}:
        assert is_share(float(np.float32(right / examples)), examples)
        assert is_share(float(np.float32(right) / np.float32(examples)), examples)


@pytest.mark.parametrize(("value", "examples"), [(0.1234, 239), (0.5, 239), (1.01, 10), (-1, 10)])
def test_other_numbers_are_no_shares(value: float, examples: int) -> None:
    assert not is_share(value, examples)


def test_the_claim_says_what_the_best_rests_on() -> None:
    study = facts([0.6, 0.95, 0.93, 0.94, 0.5, None], baseline=0)
    found = claim(study)
    low, high = network_interval(0.95, 200, 6).low, wilson_interval(0.95, 200).high
    luck = luck_of_best([0.95, 0.94, 0.93], 200)
    assert found.sentences() == [
        "0.9500 on 200 validation images, the best of 6 trials (1 pruned); this network on new "
        f"images: {low:.4f} to {high:.4f} (95 %, allowing for the choice among 6 trials)",
        "2 other complete trials lie within its 95 % interval; if all of them were equal, the best "
        f"would look {luck:.4f} better by luck; each was trained once: finalize trains the best "
        "again",
        "ahead of the baseline on these images: 0.9500 against 0.6000 of trial 0",
        "above chance: 0.1000, the share of the largest class",
    ]
    assert "better than the baseline" not in " ".join(found.sentences())


def test_a_trial_at_the_interval_s_end_is_not_told_apart() -> None:
    # Of 200 images, 0.9500 has the interval 0.910 to 0.973.
    assert claim(facts([0.95, 0.915, 0.91, 0.905])).not_told_apart == 1
    assert claim(facts([0.95, 0.5])).not_told_apart == 0
    assert "no other complete trial lies within" in claim(facts([0.95, 0.5])).sentences()[1]


@pytest.mark.parametrize(
    ("values", "baseline", "sentence"),
    [
        ([0.9, 0.92], 0, "not ahead of the baseline on these images: 0.9200 against"),
        ([0.9, 0.8], 0, "the best is a baseline: no other trial is ahead of it on these images"),
        ([0.9, 0.8], None, "baseline: none is complete"),
        ([None, 0.8], 0, "baseline: none is complete"),
    ],
)
def test_plain_words_where_the_baseline_is_not_beaten(
    values: list[float | None], baseline: int | None, sentence: str
) -> None:
    assert claim(facts(values, baseline=baseline)).sentences()[2].startswith(sentence)


def test_plain_words_where_nothing_is_above_chance() -> None:
    (sentence,) = claim(facts([0.13, 0.1])).sentences()[3:]
    assert sentence == (
        "not above chance: 0.1000, the share of the largest class; guessing reaches 0.1450 by luck "
        "in 2 trials"
    )


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        (facts([0.4, 0.5], ("minimize val_loss",)), "val_loss is not a share of right answers: "),
        (facts([0.4, 0.5], ("maximize val_f1",)), "val_f1 is not a share of right answers: "),
        (facts([0.4, 0.5], ("maximize accuracy",)), "accuracy is not a share of right answers: "),
        (facts([10, 20], ("minimize parameters",)), "parameters is counted, not measured"),
        (facts([1.0, 2.0], ("minimize epoch_seconds",)), "epoch_seconds was measured once"),
        (facts([0.1, 0.2], ("minimize val_accuracy",)), "val_accuracy is minimized"),
        (facts([0.5], validation=ValidationFacts()), "the number of validation examples is not"),
        (facts([0.9, 0.1234]), "val_accuracy is no multiple of 1/200"),
    ],
)
def test_no_formula_is_applied_where_it_does_not_hold(study: StudyFacts, sentence: str) -> None:
    found = claim(study)
    assert (found.low, found.high, found.luck, found.not_told_apart) == (None,) * 4
    assert found.sentences()[1].startswith(sentence)
    assert found.baseline is None
    assert found.chance is None


def test_an_error_is_compared_with_that_of_a_constant() -> None:
    validation = replace(IMAGES, majority_share=None, constant_errors={"mae": 5.0, "mse": 40.0})
    mae = claim(facts([4.0, 6.0], ("minimize val_mae",), validation=validation, baseline=1))
    assert mae.sentences()[2:] == [
        "baseline: 4.0000 against 6.0000 of trial 1; whether by more than noise, finalize tells",
        "better than 5.0000, the error of predicting the median of the training targets",
    ]
    worse = claim(facts([6.0], ("minimize val_mae",), validation=validation))
    assert worse.sentences()[-1].startswith("no better than 5.0000, the error of predicting")
    squared = Training({"val_loss": [20.0]}, params={"loss": "squared_error"})
    loss = facts([20.0], ("minimize val_loss",), validation=validation, training=squared)
    assert claim(loss).sentences()[-1].startswith("better than 40, the error of predicting the me")
    other = replace(loss, training=Training({"val_loss": [20.0]}, params={"loss": "mine"}))
    assert claim(other).chance is None


def test_early_stopping_is_said_with_its_epoch() -> None:
    trained = Training({"val_accuracy": [0.5, 0.95, 0.9]}, restored_epoch=2)
    found = claim(facts([0.95, 0.5], training=trained))
    assert found.format_epoch() == "epoch 2 of 3"
    assert "; early stopping chose epoch 2 on the same images; " in found.sentences()[0]
    assert trained.metric_of_value("val_accuracy") == 0.95
    whole = claim(facts([0.9, 0.5], training=replace(trained, restored_epoch=None)))
    assert whole.format_epoch() == "epoch 3 of 3"
    assert "early stopping" not in whole.sentences()[0]


def test_a_study_without_a_complete_trial_has_no_claim() -> None:
    assert claim_best(facts([None, None])) is None


def test_of_equal_trials_the_first_is_the_best() -> None:
    assert claim(facts([0.5, 0.9, 0.9])).trial == 1
    assert claim(facts([0.5, 0.1, 0.1], ("minimize val_loss",))).trial == 1


def test_the_record_is_plain() -> None:
    record = claim(facts([0.6, 0.95], baseline=0)).to_record()
    assert record["baseline"]["is_ahead"] is True
    assert record["chance"]["is_above"] is True
    assert record["text"] == claim(facts([0.6, 0.95], baseline=0)).sentences()
