"""False verdicts where nothing differs, and gaps that are found.

A simulated study is one finalize: three finalists and a baseline are trained on N seeds, the leader
is the one of the four with the best mean on n validation examples, and `judge` compares them on n
test examples. In the null cells all four have the same expected accuracy, and any 'better' or
'worse' is false.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import stats

from assay.experiments.evaluation.budget import smallest_gap
from assay.experiments.evaluation.summaries import choose_leader
from assay.experiments.evaluation.verdicts import Comparison, compare_scores, judge
from tests.simulations.probit import Configuration, Correlations, ProbitModel
from tests.simulations.row import Row

EXAMPLES = (239, 1_000, 10_000)
SEEDS = (3, 5)
KINDS = ("equal", "different")
NAMES = ("first", "second", "third", "baseline")
STUDIES = 2000
QUICK_STUDIES = 200

# From `python -m tests.simulations networks`: accuracies 0.94 to 0.97, seed sd 0 to 0.36
# points, phi 0.64 to 0.82 within a configuration and 0.51 to 0.76 across two.
_ACCURACY = {239: 0.96, 1_000: 0.96, 10_000: 0.97}
_SEED_SD = 0.003
_LOUD_SEED_SD = 0.006
_PHI = Correlations(within=0.75, across=0.6)
_EQUAL_PHI = Correlations(within=0.75, across=0.75)

_ERROR_RATE = 0.05
_POWER = 0.9
_BREAK_RATE = 0.05
"""Rate at which a run breaks a bound by chance if every true rate is at the bound."""

compare = functools.partial(compare_scores, greater_is_better=True)


def null_model(kind: str, examples: int) -> ProbitModel:
    """Return four configurations of one expected accuracy.

    Args:
        kind: "equal" for one procedure under four names; "different" for procedures that are right
            on other examples, two of which scatter twice as much over seeds.
        examples: number of test examples.
    """
    sds = [_SEED_SD] * 4 if kind == "equal" else [_SEED_SD, _LOUD_SEED_SD] * 2
    configurations = [Configuration(_ACCURACY[examples], sd) for sd in sds]
    return ProbitModel(configurations, _EQUAL_PHI if kind == "equal" else _PHI)


def most_false(studies: int, cells: int) -> int:
    """Return how many studies of a cell may hold a false verdict, at most.

    At a true rate of 5 % in every cell, one run in twenty has a cell above this: 127 of 2,000
    studies in each of twelve cells.
    """
    return int(stats.binom.isf(_BREAK_RATE / cells, studies, _ERROR_RATE))


def count_false_verdicts(
    kind: str,
    examples: int,
    seeds: int,
    studies: int,
    compare: Callable[[Any, Any], Comparison] = compare,
) -> int:
    """Count the simulated studies of a null cell with any 'better' or 'worse'."""
    model = null_model(kind, examples)
    random = np.random.default_rng([KINDS.index(kind), examples, seeds])
    count = 0
    for _ in range(studies):
        validation, test = model.draw(random, seeds, examples, examples)
        means = dict(zip(NAMES, validation.mean(axis=(1, 2)).tolist(), strict=True))
        verdicts = judge(
            dict(zip(NAMES, test, strict=True)),
            choose_leader(means, greater_is_better=True),
            compare=compare,
        )
        count += any(one.verdict != "not separable" for one in verdicts.values())
    return count


def count_found(gap: float, studies: int) -> tuple[int, int, float]:
    """Count the studies that find a gap, at 10,000 examples and five seeds.

    Returns:
        In how many studies the baseline, which is worse by `gap`, was judged worse than the leader
        of three equal finalists; in how many it was judged worse than the first finalist in a
        comparison of these two alone; the median of the smallest gap that this comparison says it
        finds.
    """
    examples, seeds = 10_000, 5
    accuracy = _ACCURACY[examples]
    finalists = [Configuration(accuracy, _SEED_SD)] * 3
    model = ProbitModel([*finalists, Configuration(accuracy - gap, _SEED_SD)], _PHI)
    random = np.random.default_rng([round(1e6 * gap), 1])
    in_family = alone = 0
    smallest = []
    for _ in range(studies):
        validation, test = model.draw(random, seeds, examples, examples)
        means = dict(zip(NAMES, validation.mean(axis=(1, 2)).tolist(), strict=True))
        leader = choose_leader(means, greater_is_better=True)
        scores = dict(zip(NAMES, test, strict=True))
        verdicts = judge(scores, leader, compare=compare)
        in_family += leader != "baseline" and verdicts["baseline", leader].verdict == "worse"
        pair = compare(scores["baseline"], scores["first"])
        alone += pair.verdict == "worse"
        smallest.append(smallest_gap(pair) or np.nan)
    return in_family, alone, float(np.nanmedian(smallest))


def rows(quick: bool) -> Iterator[Row]:
    """Yield the null cells, then the power."""
    studies = QUICK_STUDIES if quick else STUDIES
    cells = list(itertools.product(KINDS, EXAMPLES, SEEDS))
    most = most_false(studies, len(cells))
    for kind, examples, seeds in cells:
        yield Row(
            f"{kind} procedures, n = {examples:,}, N = {seeds}",
            "a false verdict",
            count_false_verdicts(kind, examples, seeds, studies),
            studies,
            most=most,
        )
    for gap in (0.01, 0.003):
        in_family, alone, smallest = count_found(gap, studies)
        case = f"a gap of {100 * gap:g} points, n = 10,000, N = 5"
        least = None
        if gap == 0.01:
            # The bound itself at full length; a short run may fall below it by chance.
            least = (
                int(stats.binom.isf(1 - _BREAK_RATE, studies, _POWER))
                if quick
                else round(_POWER * studies)
            )
        yield Row(f"{case}, baseline of three finalists", "found", in_family, studies, least=least)
        yield Row(
            f"{case}, two alone (says it finds {100 * smallest:.2f} points in 4 of 5)",
            "found",
            alone,
            studies,
            least=least,
        )
