"""Cross entropy of logits and of probabilities, and losses of margins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.experiments.lectures.topics.losses_and_logits import (
    MARGIN_LOSSES,
    find_overflow,
    logits_loss,
    make_outliers,
    measure_difference,
    probability_loss,
)


def test_both_forms_agree_until_the_softmax_is_zero() -> None:
    assert measure_difference(80) < 2e-5
    assert 87 < find_overflow() < 104
    far = np.array([[0.0, 1000.0]], np.float32)
    assert probability_loss(far)[0] == math.inf
    assert logits_loss(far)[0] == 1000


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_equal_logits_have_a_loss_of_log_k(classes: int) -> None:
    logits = np.full((1, classes), 7.0, np.float32)
    assert logits_loss(logits)[0] == pytest.approx(math.log(classes), rel=3e-7)


def test_a_softmax_twice_keeps_the_loss_above_its_bound() -> None:
    sure = np.eye(10, dtype=np.float32)[:1]
    assert logits_loss(sure)[0] == pytest.approx(math.log(math.e + 9) - 1, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "at_minus_one", "at_zero", "at_three"),
    [("0-1", 1, 1, 0), ("hinge", 2, 1, 0), ("L2", 4, 1, 4), ("L1", 2, 1, 2)],
)
def test_losses_of_margins(name: str, at_minus_one: float, at_zero: float, at_three: float) -> None:
    values = MARGIN_LOSSES[name](np.array([-1.0, 0.0, 3.0]))
    assert list(values) == [at_minus_one, at_zero, at_three]
    assert MARGIN_LOSSES["cross entropy / log 2"](np.zeros(1))[0] == pytest.approx(1)


def test_only_training_targets_have_outliers() -> None:
    arrays = make_outliers(1_000)
    errors = {part: arrays[f"y_{part}"] - 2 * arrays[f"x_{part}"] - 1 for part in ("train", "test")}
    assert 0.07 < (errors["train"] > 5).mean() < 0.13
    assert errors["test"].max() < 1
