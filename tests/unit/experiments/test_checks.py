"""Checks of a study: where each must fire, where it must not, where it is not applicable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import norm

from assay.experiments.evaluation.checks import CHECKS, run_checks
from assay.experiments.evaluation.study_facts import (
    Range,
    StudyFacts,
    Training,
    ValidationFacts,
)
from tests.helpers.facts import IMAGES, RATE, facts, training
from tests.simulations.checks import count_firing, measure_luck

LOSS = ("minimize val_loss",)


def on_range(
    positions: Sequence[float], values: Sequence[float], found: Range = RATE, **others: Any
) -> StudyFacts:
    """Return a study whose trials lie at these places of a logarithmic range, 0 to 1."""
    low, high = found.low, found.high
    params = [{"learning_rate": low * (high / low) ** at} for at in positions]
    return facts(values, params=params, ranges={"learning_rate": found}, **others)


EIGHT = [index / 7 for index in range(8)]
RISING = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85]
TWELVE = [0.49 + 0.51 * index / 11 for index in range(12)]  # all but one in the upper half
RISING_12 = [0.5 + 0.03 * index for index in range(12)]
CURVE = [0.1, 0.3, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9]

FIRES: dict[str, list[StudyFacts]] = {
    "edge of a range": [
        on_range(TWELVE, RISING_12),
        on_range([1 - at for at in TWELVE], RISING_12),
        on_range(TWELVE, [1 - value for value in RISING_12], objectives=LOSS),
    ],
    "still improving": [facts([0.5] * 6 + [0.5, 0.8])],
    "curve rising": [facts([0.9], training=training(val_accuracy=CURVE))],
    "validation too small": [facts([0.9, 0.89, 0.88, 0.9] + [0.2] * 5)],
    "training and validation far apart": [
        facts([0.8], training=training(accuracy=[0.7, 0.99], val_accuracy=[0.7, 0.8])),
        facts([0.4], LOSS, training=training(accuracy=[0.7, 0.99], val_accuracy=[0.7, 0.8])),
    ],
    "diverged or out of memory": [
        facts([0.5] * 7 + [None] * 3, states=dict.fromkeys((7, 8, 9), "failed: diverged")),
        facts([0.5] * 7 + [None] * 3, states=dict.fromkeys((7, 8, 9), "failed: out of memory")),
    ],
    "pruner too greedy": [
        facts([0.5] * 9 + [None]),
        facts([0.5] * 15 + [None] * 31),
    ],
    "baseline not beaten": [
        facts([0.8, 0.82], baseline=0),
        facts([0.8, 0.7], baseline=0),
        facts([0.5, 0.7], LOSS, baseline=0),
    ],
    "nothing above chance": [
        facts([0.1, 0.14]),
        facts(
            [5.5],
            ("minimize val_mae",),
            validation=replace(IMAGES, majority_share=None, constant_errors={"mae": 5.0}),
        ),
    ],
}
PASSES: dict[str, list[StudyFacts]] = {
    "edge of a range": [
        on_range(TWELVE[:4], RISING_12[:4]),  # too few trials in the half
        on_range(TWELVE, [0.8, 0.1, 0.3, 0.7, 0.2, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1, 0.9]),
        on_range(EIGHT, [*RISING[:4], 0.95, 0.7, 0.6, 0.5]),  # the best is in the middle
        on_range([0.5 + at / 60 for at in range(12)], RISING_12),  # not in the outer quarter
        on_range(TWELVE, [0.5] * 12),
        on_range(TWELVE, RISING_12, objectives=LOSS),  # the best is the lowest, at 0.5
    ],
    "still improving": [
        facts([0.5] * 6 + [0.5, 0.52]),
        facts([0.5, 0.8] + [0.5] * 6),
    ],
    "curve rising": [
        facts([0.9], training=training(val_accuracy=[0.1, 0.5, 0.9, 0.9, 0.9, 0.9])),
        facts([0.9], training=training(val_accuracy=CURVE[::-1])),
        facts([0.9], training=training(val_accuracy=[0.5] * 3 + [0.88] * 3 + [0.9] * 3)),
    ],
    "validation too small": [
        facts([0.9, 0.89, 0.88] + [0.2] * 5),  # two are too few
        facts([0.9, 0.89, 0.88, 0.9] + [0.2] * 8),  # a third is more
    ],
    "training and validation far apart": [
        facts([0.8], training=training(accuracy=[0.84], val_accuracy=[0.8])),
        facts(
            [0.8],
            validation=replace(IMAGES, examples=20),  # eight points, but of 20 examples
            training=training(accuracy=[0.88], val_accuracy=[0.8]),
        ),
        facts([0.9], training=training(accuracy=[0.7], val_accuracy=[0.9])),
        facts(
            [0.8],  # at the epoch that early stopping kept, they are together
            training=Training(
                {"accuracy": [0.8, 0.99], "val_accuracy": [0.8, 0.8]}, restored_epoch=1
            ),
        ),
    ],
    "diverged or out of memory": [
        facts([0.5] * 7 + [None] * 2, states=dict.fromkeys((7, 8), "failed: diverged")),
        facts([0.5] * 40 + [None] * 3, states=dict.fromkeys((40, 41, 42), "failed: diverged")),
        facts([0.5] * 7 + [None] * 3, states=dict.fromkeys((7, 8, 9), "failed: interrupted")),
    ],
    "pruner too greedy": [
        facts([0.5] * 10 + [None] * 20),
        facts([0.5] * 20 + [None] * 100),
    ],
    "baseline not beaten": [facts([0.7, 0.9], baseline=0)],
    "nothing above chance": [
        facts([0.1, 0.3]),
        facts(
            [4.0],
            ("minimize val_mae",),
            validation=replace(IMAGES, majority_share=None, constant_errors={"mae": 5.0}),
        ),
        facts(
            [20.0],
            LOSS,
            validation=replace(IMAGES, majority_share=None, constant_errors={"mse": 25.0}),
            training=Training({"val_loss": [20.0]}, params={"loss": "squared_error"}),
        ),
    ],
}
UNKNOWN = ValidationFacts()
NOT_APPLICABLE: dict[str, list[StudyFacts]] = {
    "edge of a range": [facts([]), facts([0.5])],
    "still improving": [
        facts([0.5] * 8, LOSS),
        facts([0.5] * 8, validation=UNKNOWN),
        facts([0.5] * 3),
        facts([0.1234] * 8),  # no share of 200 examples
    ],
    "curve rising": [
        facts([0.9]),
        facts([0.9], LOSS, training=training(val_loss=CURVE)),
        facts([0.9], training=training(val_accuracy=[0.1, 0.9])),
    ],
    "validation too small": [facts([0.5] * 8, LOSS), facts([0.5] * 8, validation=UNKNOWN)],
    "training and validation far apart": [
        facts([0.9]),
        facts([0.4], LOSS, training=training(loss=[0.1], val_loss=[0.4])),
        facts([0.8], validation=UNKNOWN, training=training(accuracy=[1.0], val_accuracy=[0.8])),
    ],
    "diverged or out of memory": [facts([])],
    "pruner too greedy": [facts([0.5] * 8)],
    "baseline not beaten": [
        facts([0.5, 0.9]),
        facts([0.9, 0.1], LOSS, baseline=0),  # by how much more than noise is not known
    ],
    "nothing above chance": [
        facts([]),
        facts([0.9], validation=UNKNOWN),
        facts([0.4], LOSS),
        facts([0.9], ("maximize val_f1",)),
    ],
}


def cases(studies: dict[str, list[StudyFacts]]) -> list[Any]:
    return [
        pytest.param(name, study, id=f"{name} {index}")
        for name, each in studies.items()
        for index, study in enumerate(each)
    ]


@pytest.mark.parametrize(("name", "study"), cases(FIRES))
def test_a_check_fires_with_its_numbers_and_what_to_do(name: str, study: StudyFacts) -> None:
    found = CHECKS[name](study)
    assert found.fired is True, found
    assert any(character.isdigit() for character in found.text)
    assert len(found.text.splitlines()) == 1
    assert ": " in found.text, "it does not say what to do"


@pytest.mark.parametrize(("name", "study"), cases(PASSES))
def test_a_check_passes_with_its_numbers(name: str, study: StudyFacts) -> None:
    found = CHECKS[name](study)
    assert found.fired is False, found
    assert any(character.isdigit() for character in found.text)


@pytest.mark.parametrize(("name", "study"), cases(NOT_APPLICABLE))
def test_a_check_says_why_it_is_not_applicable(name: str, study: StudyFacts) -> None:
    found = CHECKS[name](study)
    assert found.fired is None, found
    assert found.text.startswith("not applicable: ")


def test_every_check_is_tried_in_every_state() -> None:
    assert set(FIRES) == set(PASSES) == set(NOT_APPLICABLE) == set(CHECKS)


def test_the_edge_names_its_range_and_the_end_to_move() -> None:
    upper = CHECKS["edge of a range"](on_range(TWELVE, RISING_12)).text
    assert upper.startswith(
        "learning_rate 0.1 of the best is near the end 0.1 of its range (0.0001 to 0.1, log)"
    )
    assert "over 11 trials (Spearman 1.00, p < 0.001)" in upper
    assert upper.endswith("raise high")
    lower = CHECKS["edge of a range"](on_range([1 - at for at in TWELVE], RISING_12)).text
    assert lower.endswith("lower low")


def test_the_scale_of_a_range_is_its_own() -> None:
    # 0.02 is near the upper end by its logarithm, and near the lower end of a linear range.
    values = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85]
    params = [{"learning_rate": 0.013 + index / 1000} for index in range(8)]
    fired = {
        is_log: CHECKS["edge of a range"](
            facts(values, params=params, ranges={"learning_rate": Range(1e-4, 1e-1, is_log)})
        ).fired
        for is_log in (True, False)
    }
    assert fired == {True: True, False: False}


def test_a_hyperparameter_that_only_some_trials_have_is_judged_by_those() -> None:
    params = [{"momentum": at} if index % 2 else {} for index, at in enumerate(TWELVE)]
    study = facts(RISING_12, params=params, ranges={"momentum": Range(0.0, 1.0)})
    assert "over 6 trials" in CHECKS["edge of a range"](study).text
    without = facts([*RISING_12, 0.99], params=[*params, {}], ranges=study.ranges)
    assert CHECKS["edge of a range"](without).fired is None  # the best does not have it


def test_the_validation_size_says_how_many_images_a_point_takes() -> None:
    text = CHECKS["validation too small"](FIRES["validation too small"][0]).text
    assert text.startswith(
        "3 of 9 complete trials lie within the 95 % interval of the best on 200 "
    )
    needed = math.ceil(norm.isf(0.025) ** 2 * 0.9 * 0.1 / 0.01**2)
    assert f"a point (0.01) takes about {needed:,}: raise" in text


def test_many_images_are_no_reason_to_take_more() -> None:
    many = replace(IMAGES, examples=10_000)
    values = [0.97, 0.969, 0.9695, 0.97] + [0.2] * 5
    found = CHECKS["validation too small"](facts(values, validation=many))
    assert found.fired
    tells = norm.isf(0.025) * math.sqrt(0.97 * 0.03 / 10_000)
    assert found.text == (
        "3 of 9 complete trials lie within the 95 % interval of the best on 10,000 validation "
        "images; a point (0.01) takes about 1,118, so one network's share is known to within "
        f"{tells:.4f}, and these trials differ by less: train the best again on several seeds"
    )


def diverging(diverged: Sequence[float], others: Sequence[float]) -> str:
    """Return what the check of failures says of trials with these learning rates."""
    rates = [*others, *diverged]
    states = dict.fromkeys(range(len(others), len(rates)), "failed: diverged")
    values = [0.5] * len(others) + [None] * len(diverged)
    params = [{"learning_rate": rate} for rate in rates]
    study = facts(values, params=params, states=states, ranges={"learning_rate": RATE})
    return CHECKS["diverged or out of memory"](study).text


def test_the_advice_for_diverged_trials_suits_their_learning_rates() -> None:
    assert diverging([0.09, 0.05, 0.1], [1e-3, 0.06, 1e-2]).endswith(
        "lower the upper end of learning_rate (the lowest that diverged is 0.05), or set clip_norm"
    )
    assert "lower the whole range of learning_rate (0.0001 to 0.1)" in diverging([1e-4] * 3, [])
    assert diverging([1e-4, 2e-4, 1e-3], [1e-2, 1e-3]).endswith(
        ": set clip_norm, or look at the scale of the inputs: their learning_rate is no higher "
        "than that of the others"
    )
    # It was not searched: there is no range.
    fixed = facts([None] * 3, states=dict.fromkeys(range(3), "failed: diverged"))
    assert CHECKS["diverged or out of memory"](fixed).text.endswith(
        "3 trials: lower learning_rate, or set clip_norm"
    )


def test_no_check_speaks_of_a_best_trial_where_there_is_none() -> None:
    found = run_checks(facts([None] * 4, states=dict.fromkeys(range(4), "failed: diverged")))
    assert not [check for check in found if "best" in check.text]


def test_failures_are_counted_apart_and_the_advice_suits_them() -> None:
    states = {5: "failed: diverged", 6: "failed: out of memory", 7: "failed: out of memory"}
    found = CHECKS["diverged or out of memory"](
        facts([0.5] * 5 + [None] * 3, states={**states, 4: "failed: interrupted"})
    )
    assert found.text.startswith(
        "1 diverged and 2 ran out of memory of 7 trials, not counting 1 that was interrupted: "
    )
    assert "learning_rate" in found.text
    assert "batch_size" in found.text


def test_with_several_objectives_the_first_counts() -> None:
    both = ("maximize val_accuracy", "minimize parameters")
    found = {check.name: check.fired for check in run_checks(facts([0.1, 0.14], both))}
    assert found["nothing above chance"] is True
    first = ("minimize parameters", "maximize val_accuracy")
    found = {check.name: check.fired for check in run_checks(facts([10.0, 20.0], first))}
    assert found["nothing above chance"] is None


def test_names_are_escaped() -> None:
    params = [{"\x1b[31m": RATE.low * (RATE.high / RATE.low) ** at} for at in TWELVE]
    study = facts(RISING_12, params=params, ranges={"\x1b[31m": RATE})
    found = CHECKS["edge of a range"](study)
    assert found.fired
    assert "\x1b" not in found.text


def test_rates_in_simulated_studies_are_within_their_bounds() -> None:
    outside = [str(row) for row in count_firing(40) if not row.is_held]
    assert outside == []


def test_the_luck_that_is_named_is_that_of_simulated_studies() -> None:
    for setting, ratio in measure_luck(number=60, trials=[30]):
        low, high = (0.2, 0.6) if "0.02" in setting else (0.85, 1.7)
        assert low < ratio < high, setting
