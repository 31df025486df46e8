"""What a number of seeds and of test examples can find.

The variance of a difference has a part that more seeds reduce and a part that only more test
examples reduce. Both are taken from a comparison that was made, and the power from the noncentral
t distribution (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988).

The smallest gap is said first. It is an estimate too: at 5 seeds, 10,000 examples and a seed sd of
0.3 points, nine in ten simulated estimates lay between 0.44 and 0.94 points, and the median of
0.66 was found in 71 % of the studies. The number of seeds for a gap is said only for a gap that the
user names: at the observed difference it would run from 3 to 'never'.

Example:
    >>> comparison = verdicts["trial 3", "trial 7"]
    >>> format_smallest_gap(smallest_gap(comparison), "trials 7 and 3")
    'A true gap of about 1.4 points between trials 7 and 3 would be found with 80 % probability.'
    >>> format_needed_budget(needed_seeds(comparison, gap=0.01))
    'A true gap of 1 point takes 13 seeds on these 1,000 test examples.'
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats

from assay.experiments.evaluation.verdicts import MIN_SEEDS, Comparison
from assay.models.errors import RequestError

POWER = 0.8
"""Share of studies that find a gap: 4 of 5."""
MAX_SEEDS = 50
# Beyond this scipy's noncentral t does not converge; such a gap is far above any that matters.
_MAX_NONCENTRALITY = 1e5


@dataclass(frozen=True)
class NeededBudget:
    """The seeds or the test examples that a gap takes.

    Attributes:
        gap: the true gap, in the unit of the scores.
        seeds: the smallest number of seeds that finds the gap in 4 of 5 studies; None where it is
            above 50, or where no number does.
        test_examples: about how many test examples the gap takes, where no number of seeds finds
            it on the present ones; else None.
        present_examples: the number of test examples that there are.
    """

    gap: float
    seeds: int | None
    test_examples: int | None
    present_examples: int


def find_level(comparison: Comparison) -> float:
    """Return the level that a difference is certain to need: Holm's strictest of its family."""
    return comparison.alpha / comparison.family_size


def compute_power(noncentrality: float, degrees_of_freedom: float, level: float) -> float:
    """Return the power of a two-sided t test to find a difference, in its true direction.

    Args:
        noncentrality: the true difference over its standard error.
        degrees_of_freedom: of the t distribution.
        level: two-sided level of the test.
    """
    critical = stats.t.isf(level / 2, degrees_of_freedom)
    return float(stats.nct.sf(critical, degrees_of_freedom, noncentrality))


def smallest_gap(comparison: Comparison, *, level: float | None = None) -> float | None:
    """Return the smallest true gap that the budget of a comparison finds in 4 of 5 studies.

    Args:
        comparison: a comparison that was judged; its difference plays no part.
        level: two-sided level; None for that of `find_level`.

    Returns:
        The gap in the unit of the scores, or None where the comparison could not be judged, or
        its level is too strict for so few degrees of freedom.
    """
    if comparison.unjudged is not None or comparison.variances is None:
        return None
    freedom = comparison.variances.degrees_of_freedom(comparison.seeds, comparison.examples)
    used = find_level(comparison) if level is None else level
    high = 4.0
    while compute_power(high, freedom, used) < POWER:
        high *= 2
        if high > _MAX_NONCENTRALITY:
            return None
    found = optimize.brentq(lambda ratio: compute_power(ratio, freedom, used) - POWER, 0.0, high)
    return float(found) * math.sqrt(comparison.variances.total)


def needed_seeds(
    comparison: Comparison, gap: float, *, level: float | None = None
) -> NeededBudget | None:
    """Return how many seeds, or else test examples, a true gap takes.

    With k seeds the variance is floor + per / k, where the floor is the part that more seeds do not
    reduce: that of the examples without the residual.

    Args:
        comparison: a comparison that was judged; its difference plays no part.
        gap: the true gap, above 0, in the unit of the scores (0.003 is 0.3 points of accuracy).
        level: two-sided level; None for that of `find_level`.

    Returns:
        The budget, or None where the comparison could not be judged.

    Raises:
        RequestError: the gap is not above 0.
    """
    if not (math.isfinite(gap) and gap > 0):
        raise RequestError(
            f"gap must be a number above 0: received {gap!r}; name the difference that matters."
        )
    variances, examples = comparison.variances, comparison.examples
    if comparison.unjudged is not None or variances is None:
        return None
    used = find_level(comparison) if level is None else level
    floor = max(variances.examples - sum(variances.residual), 0.0)
    # 7.84 at a level of 5 %: the squared noncentrality that gives the power at infinite seeds.
    factor = float(stats.norm.isf(used / 2) + stats.norm.isf(1 - POWER)) ** 2
    if gap**2 <= factor * floor:
        return NeededBudget(gap, None, math.ceil(examples * factor * floor / gap**2), examples)
    for seeds in range(MIN_SEEDS, MAX_SEEDS + 1):
        projected = variances.project(comparison.seeds, seeds)
        freedom = projected.degrees_of_freedom((seeds, seeds), examples)
        if compute_power(gap / math.sqrt(projected.total), freedom, used) >= POWER:
            return NeededBudget(gap, seeds, None, examples)
    return NeededBudget(gap, None, None, examples)


def format_smallest_gap(
    gap: float | None, between: str, *, comparisons: int = 1, in_points: bool = True
) -> str:
    """Return one sentence about the smallest gap that a budget finds.

    Args:
        gap: see `smallest_gap`.
        between: the two that were compared, such as "trials 1 and 3".
        comparisons: number of comparisons that are adjusted together: with more of them, a gap must
            be larger.
        in_points: whether the scores are shares that are shown as points of 100, as accuracy is.
    """
    if gap is None:
        return f"The smallest gap that this budget finds between {between} can't be estimated."
    if in_points and gap >= 1:
        return (
            f"No true gap between {between} would be found with {100 * POWER:g} % probability: it "
            "would be above 100 points."
        )
    rounded = float(f"{gap:.2g}")  # an estimate: more digits would be noise
    about = _format_gap(rounded, in_points)
    adjusted = f" (adjusted for {comparisons} comparisons)" if comparisons > 1 else ""
    return (
        f"A true gap of about {about} between {between} would be found with {100 * POWER:g} % "
        f"probability{adjusted}."
    )


def format_needed_budget(budget: NeededBudget | None, *, in_points: bool = True) -> str:
    """Return one sentence about the seeds or the test examples that a gap takes.

    Args:
        budget: see `needed_seeds`.
        in_points: as in `format_smallest_gap`.
    """
    if budget is None:
        return "The seeds that a gap takes can't be estimated from this comparison."
    gap = f"true gap of {_format_gap(budget.gap, in_points)}"
    present = f"these {budget.present_examples:,} test examples"
    if budget.test_examples is not None:
        about = _round_up(budget.test_examples)
        return (
            f"No number of seeds finds a {gap} on {present} in 4 of 5 studies: "
            f"it takes about {about:,} test examples."
        )
    seeds = f"more than {MAX_SEEDS}" if budget.seeds is None else str(budget.seeds)
    return f"A {gap} takes {seeds} seeds on {present}."


def _format_gap(gap: float, in_points: bool) -> str:
    if not in_points:
        return f"{gap:.4g}"
    points = f"{100 * gap:.4g}"
    return f"{points} point" if points == "1" else f"{points} points"


def _round_up(number: int) -> int:
    """Round to two digits, upwards."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
