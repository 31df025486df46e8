"""False verdicts on metrics that are no mean over examples: macro F1, AUC and R2.

Each simulated study compares two configurations of one expected value, on networks whose scores
have effects of seeds, examples and both. Fewer resamples than in use keep this to minutes; they
make the variance of the examples a little noisier, not smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.experiments.evaluation.verdicts import (
    Metric,
    bootstrap_scores,
    compare_bootstrapped,
)
from tests.simulations.row import Row
from tests.simulations.verdicts import most_false

_CLASSES = 5
_RESAMPLES = 200
_EXAMPLES = (239, 1_000)
_SEEDS = (3, 5)
_STUDIES = 400
_QUICK_STUDIES = 40
# Standard deviations of the effects: examples (shared by both), examples of one configuration,
# seeds, and seeds and examples together.
_SHARED, _OWN, _SEED, _NETWORK = 0.6, 0.4, 0.05, 0.5

Draw = Callable[[np.random.Generator, int, int], tuple[NDArray[Any], NDArray[Any]]]


def _noise(random: np.random.Generator, seeds: int, examples: int, *shape: int) -> NDArray[Any]:
    """Return normal noise (configurations, seeds, examples, ...) with the four effects."""
    normal = random.standard_normal
    return (
        _SHARED * normal((1, 1, examples, *shape))
        + _OWN * normal((2, 1, examples, *shape))
        + _SEED * normal((2, seeds, 1, *shape))
        + _NETWORK * normal((2, seeds, examples, *shape))
    )


def _draw_labels(
    random: np.random.Generator, seeds: int, examples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return predicted labels and targets; half of the examples are of one class."""
    shares = [0.5, 0.2, 0.1, 0.1, 0.1]
    targets = random.choice(_CLASSES, size=examples, p=shares)
    logits = _noise(random, seeds, examples, _CLASSES)
    logits += 2.2 * (targets[:, None] == np.arange(_CLASSES))
    return logits.argmax(axis=-1), targets


def _draw_probabilities(
    random: np.random.Generator, seeds: int, examples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return scores of the positive class and targets; a fifth of the examples is positive."""
    targets = (random.random(examples) < 0.2).astype(int)
    scores = _noise(random, seeds, examples) + 0.8 * targets
    # A shift of all scores leaves AUC as it is, so seeds also scatter in how far they separate.
    slopes = 1 + 0.05 * random.standard_normal((2, seeds, 1))
    return scores + slopes * targets, targets


def _draw_values(
    random: np.random.Generator, seeds: int, examples: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return predicted values and targets; the noise of the examples has heavy tails."""
    targets = random.standard_normal(examples)
    heavy = random.standard_t(5, size=(1, 1, examples))
    return targets + 0.3 * _noise(random, seeds, examples) + 0.2 * heavy, targets


def macro_f1(predicted: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the mean F1 of the classes, 0 for a class that nothing is of."""
    pairs = np.bincount(_CLASSES * targets + predicted, minlength=_CLASSES**2)
    table = pairs.reshape(_CLASSES, _CLASSES)
    sums = table.sum(axis=0) + table.sum(axis=1)
    return float(np.mean(2 * table.diagonal() / np.maximum(sums, 1)))


def auc(scores: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the area under the ROC curve from the sum of ranks; ties are broken by order."""
    positive = int(targets.sum())
    negative = len(targets) - positive
    if not positive or not negative:
        return float("nan")
    ranks = np.empty(len(targets))
    ranks[scores.argsort()] = np.arange(1, len(targets) + 1)
    above = ranks[targets == 1].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def r2(predicted: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the coefficient of determination."""
    residual = np.square(targets - predicted).sum()
    return float(1 - residual / np.square(targets - targets.mean()).sum())


METRICS: Mapping[str, tuple[Metric, Draw]] = {
    "macro F1": (macro_f1, _draw_labels),
    "AUC": (auc, _draw_probabilities),
    "R2": (r2, _draw_values),
}


def count_false_verdicts(name: str, examples: int, seeds: int, studies: int) -> int:
    """Count the simulated comparisons of equals that end in 'better' or 'worse'."""
    metric, draw = METRICS[name]
    random = np.random.default_rng([list(METRICS).index(name), examples, seeds])
    count = 0
    for _ in range(studies):
        predictions, targets = draw(random, seeds, examples)
        first, second = (
            bootstrap_scores(each, targets, metric, resamples=_RESAMPLES) for each in predictions
        )
        verdict = compare_bootstrapped(first, second, greater_is_better=True).verdict
        count += verdict != "not separable"
    return count


def rows(quick: bool) -> Iterator[Row]:
    """Yield a row per metric, number of examples and number of seeds."""
    studies = _QUICK_STUDIES if quick else _STUDIES
    cells = len(METRICS) * len(_EXAMPLES) * len(_SEEDS)
    for name in METRICS:
        for examples in _EXAMPLES:
            for seeds in _SEEDS:
                yield Row(
                    f"{name}, n = {examples:,}, N = {seeds}",
                    "a false verdict",
                    count_false_verdicts(name, examples, seeds, studies),
                    studies,
                    most=most_false(studies, cells),
                )
