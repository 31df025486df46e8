"""Simulated studies: how often the checks of a study fire without a reason, and with one.

A trial's network answers each example right or wrong by a probit model: the quality of its
configuration, an effect of its seed, the example's difficulty, which all networks share, and an
effect of its own. The evaluation sees what it would see of a real study, and shares no code with
what draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from assay.experiments.evaluation.best_claim import BestClaim, claim_best
from assay.experiments.evaluation.checks import CHECKS
from assay.experiments.evaluation.study_facts import (
    Range,
    StudyFacts,
    Training,
    TrialFacts,
    ValidationFacts,
)
from assay.search.objective import Objectives
from tests.simulations.row import Row, least_count, most_count

Numbers = NDArray[np.float64]

_STUDIES, _QUICK_STUDIES = 2000, 100
_DIFFICULTY_SD = 1.5
_ACCURACY = 0.93
_QUIET_SD, _LOUD_SD = 0.003, 0.02
_EPOCHS = 18


@dataclass(frozen=True)
class Studies:
    """How studies are drawn.

    Attributes:
        trials: number of complete trials.
        examples: number of validation examples.
        seed_sd: standard deviation of accuracy over seeds.
        slope: accuracy that the whole range of the searched number is worth.
        optimum: place of the best value on the range, 0 to 1; beyond 1 it lies outside.
        accuracy: mean accuracy at the optimum.
    """

    trials: int = 30
    examples: int = 239
    seed_sd: float = _QUIET_SD
    slope: float = 0.0
    optimum: float = 0.5
    accuracy: float = _ACCURACY

    def draw(self, random: np.random.Generator) -> tuple[StudyFacts, Numbers]:
        """Return the facts of a study, and the true accuracy of each network on new examples."""
        positions = random.uniform(size=self.trials)
        means = self.accuracy - self.slope * np.abs(positions - self.optimum)
        true = np.clip(means + self.seed_sd * random.normal(size=self.trials), 0.01, 0.999)
        shares = draw_shares(true, self.examples, random)
        trials = [
            TrialFacts(number, "complete", float(share), {"x": float(10 ** (-4 + 3 * position))})
            for number, (share, position) in enumerate(zip(shares, positions, strict=True))
        ]
        facts = StudyFacts(
            objectives=Objectives.read(["maximize val_accuracy"]),
            trials=[replace(trials[0], is_baseline=True), *trials[1:]],
            ranges={"x": Range(1e-4, 1e-1, is_log=True)},
            validation=ValidationFacts(self.examples, 1000, 0.1, {}, "images"),
        )
        return facts, true


def draw_shares(true: Numbers, examples: int, random: np.random.Generator) -> Numbers:
    """Return the share of examples that each network answers right.

    Args:
        true: accuracy of each network on new examples.
        examples: number of examples, the same ones for all networks.
        random: draws.
    """
    difficulty = _DIFFICULTY_SD * random.normal(size=examples)
    own = random.normal(size=(len(true), examples))
    ability = norm.ppf(true) * math.sqrt(1 + _DIFFICULTY_SD**2)
    right = ability[:, np.newaxis] + difficulty + own > 0
    return np.asarray(right.mean(axis=1), np.float64)


def draw_curve(
    rise: float, examples: int, random: np.random.Generator, kept: float = 0.7
) -> list[float]:
    """Return the validation shares of a network by epoch.

    Args:
        rise: accuracy that it gains from the middle to the end.
        examples: number of examples.
        random: draws.
        kept: correlation of the effects of one epoch with the next: a network changes slowly.
    """
    gain = np.concatenate([np.linspace(-0.5, 0, _EPOCHS // 3), np.zeros(_EPOCHS // 3)])
    gain = np.concatenate([gain, np.full(_EPOCHS - len(gain), rise)])
    difficulty = _DIFFICULTY_SD * random.normal(size=examples)
    own, shares = random.normal(size=examples), []
    for accuracy in np.clip(0.85 + gain, 0.01, 0.999):
        own = kept * own + math.sqrt(1 - kept**2) * random.normal(size=examples)
        ability = float(norm.ppf(accuracy)) * math.sqrt(1 + _DIFFICULTY_SD**2)
        shares.append(float((ability + difficulty + own > 0).mean()))
    return shares


def _row(
    what: str,
    setting: str,
    studies: int,
    count: int,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """Return a row whose bounds are true rates."""
    return Row(
        setting,
        what,
        count,
        studies,
        most=None if at_most is None else most_count(at_most, studies),
        least=None if at_least is None else least_count(at_least, studies),
    )


def _fires(check: str, facts: StudyFacts) -> bool:
    return CHECKS[check](facts).fired is True


def _count_fired(check: str, studies: Studies, number: int, random: np.random.Generator) -> int:
    return sum(_fires(check, studies.draw(random)[0]) for _ in range(number))


def _edge_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    check = "edge of a range"
    count = partial(_count_fired, check, number=number, random=random)
    for trials in (15, 30, 60):
        flat = Studies(trials, seed_sd=0.01)
        yield _row(check, f"nothing matters, {trials} trials", number, count(flat), at_most=0.04)
    inside = Studies(30, slope=0.3, optimum=0.5, accuracy=0.95)
    yield _row(check, "optimum in the middle, 30 trials", number, count(inside), at_most=0.04)
    for trials, power in ((15, 0.7), (30, 0.98)):
        beyond = Studies(trials, slope=0.3, optimum=1.2, accuracy=0.97)
        setting = f"optimum beyond the range, {trials} trials"
        yield _row(check, setting, number, count(beyond), at_least=power)


def _improving_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    check = "still improving"
    for trials in (8, 20, 50):
        for examples in (239, 1000):
            flat = Studies(trials, examples)
            count = _count_fired(check, flat, number, random)
            setting = f"nothing matters, {trials} trials, {examples} examples"
            yield _row(check, setting, number, count, at_most=0.05)
    rare = Studies(30, 1000, slope=0.6, optimum=0.9, accuracy=0.97)
    setting = "good ones are rare, 30 trials"
    yield _row(check, setting, number, _count_fired(check, rare, number, random))


def _with_curve(curve: Sequence[float], examples: int) -> StudyFacts:
    training = Training({"val_accuracy": list(curve)})
    return StudyFacts(
        objectives=Objectives.read(["maximize val_accuracy"]),
        trials=[TrialFacts(0, "complete", curve[-1])],
        validation=ValidationFacts(examples),
        training=training,
    )


def _curve_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    check = "curve rising"
    for examples in (239, 1000, 10_000):
        flat = sum(
            _fires(check, _with_curve(draw_curve(0.0, examples, random), examples))
            for _ in range(number)
        )
        yield _row(check, f"a plateau, {examples} examples", number, flat, at_most=0.04)
    rising = sum(
        _fires(check, _with_curve(draw_curve(0.08, 1000, random), 1000)) for _ in range(number)
    )
    yield _row(check, "8 points more, 1000 examples", number, rising, at_least=0.99)


def _size_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    check = "validation too small"
    for examples in (239, 1000):
        flat = Studies(30, examples)
        count = _count_fired(check, flat, number, random)
        yield _row(check, f"nothing matters, {examples} examples", number, count, at_least=0.84)
    steep = Studies(30, 1000, slope=1.0, optimum=0.5, accuracy=0.97)
    count = _count_fired(check, steep, number, random)
    yield _row(check, "a steep space, 1000 examples", number, count, at_most=0.06)


def _gap_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    check = "training and validation far apart"

    def fires(on_training: float, on_validation: float, examples: int) -> bool:
        # A network is judged on examples of its own: other than trials, it shares none.
        train = draw_shares(np.array([on_training]), 1000, random)[0]
        validation = draw_shares(np.array([on_validation]), examples, random)[0]
        curves = {"accuracy": [float(train)], "val_accuracy": [float(validation)]}
        facts = StudyFacts(
            objectives=Objectives.read(["maximize val_accuracy"]),
            trials=[TrialFacts(0, "complete", float(validation))],
            validation=ValidationFacts(examples, 1000),
            training=Training(curves),
        )
        return _fires(check, facts)

    for accuracy in (0.6, 0.93):
        same = sum(fires(accuracy, accuracy, 239) for _ in range(number))
        yield _row(check, f"both at {accuracy}, 239 examples", number, same, at_most=0.005)
    apart = sum(fires(0.99, 0.85, 239) for _ in range(number))
    yield _row(check, "0.99 and 0.85, 239 examples", number, apart, at_least=0.9)


def _claims(
    studies: Studies, number: int, random: np.random.Generator
) -> Iterator[tuple[BestClaim, float]]:
    """Yield the claim about each study, and the true accuracy of its best network."""
    for _ in range(number):
        facts, true = studies.draw(random)
        claim = claim_best(facts)
        assert claim is not None
        yield claim, float(true[claim.trial])


def _claim_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    for trials in (2, 10, 30, 100):
        for seed_sd in (_QUIET_SD, _LOUD_SD):
            studies = Studies(trials, seed_sd=seed_sd)
            within = ahead = 0
            for claim, true in _claims(studies, number, random):
                assert claim.low is not None
                assert claim.high is not None
                within += claim.low <= true <= claim.high
                ahead += claim.baseline is not None and claim.baseline.is_ahead is True
            setting = f"{trials} trials, seed sd {seed_sd}"
            yield _row("best network within its interval", setting, number, within, at_least=0.95)
            if seed_sd == _QUIET_SD:
                said = "said to be ahead of an equal baseline"
                yield _row(said, setting, number, ahead, at_most=0.05)


def _chance_rates(number: int, random: np.random.Generator) -> Iterator[Row]:
    for classes in (2, 10):
        for examples in (80, 239, 1000):
            above = 0
            for _ in range(number):
                # Networks that guess, each by itself: nothing is more often above chance by luck.
                shares = random.binomial(examples, 1 / classes, size=30) / examples
                facts = StudyFacts(
                    objectives=Objectives.read(["maximize val_accuracy"]),
                    trials=[
                        TrialFacts(at, "complete", float(share)) for at, share in enumerate(shares)
                    ],
                    validation=ValidationFacts(examples, 1000, 1 / classes),
                )
                above += not _fires("nothing above chance", facts)
            setting = f"30 guessing networks, {classes} classes, {examples} examples"
            yield _row("said to be above chance", setting, number, above, at_most=0.05)


_PARTS: tuple[Callable[[int, np.random.Generator], Iterator[Row]], ...] = (
    _edge_rates,
    _improving_rates,
    _curve_rates,
    _size_rates,
    _gap_rates,
    _claim_rates,
    _chance_rates,
)


def rows(quick: bool) -> Iterator[Row | str]:
    """Yield how often each check fires in each kind of study, and the luck that claims name."""
    yield from count_firing(_QUICK_STUDIES if quick else _STUDIES)
    for setting, ratio in measure_luck(quick):
        yield f"       luck that is named / true luck ({setting}): {ratio:.2f}"


def count_firing(number: int) -> Iterator[Row]:
    """Yield how often each check fires in each kind of study.

    Args:
        number: of studies of each kind.
    """
    for index, part in enumerate(_PARTS):
        yield from part(number, np.random.default_rng([index, number]))


def measure_luck(
    quick: bool = False, number: int | None = None, trials: Sequence[int] = (10, 30, 100)
) -> Iterator[tuple[str, float]]:
    """Yield the luck that claims name, as a multiple of the true one, by setting.

    Args:
        quick: simulate 100 studies of each kind in place of 2,000.
        number: simulate so many.
        trials: numbers of trials of a study.
    """
    number = number or (_QUICK_STUDIES if quick else _STUDIES)
    random = np.random.default_rng(number)
    for count in trials:
        for seed_sd in (_QUIET_SD, _LOUD_SD):
            studies = Studies(count, seed_sd=seed_sd)
            named, true = 0.0, 0.0
            for claim, _ in _claims(studies, number, random):
                named += claim.luck or 0.0
                true += claim.value - studies.accuracy
            yield f"{count} trials, seed sd {seed_sd}", named / true
