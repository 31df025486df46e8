"""Shares of right answers: intervals, and what luck does to the best of many.

A share is the mean of one 0 or 1 per validation example, such as val_accuracy. What holds for it
here holds for no other metric: a loss, an error or an F1 score has another spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binom, norm

ERROR_RATE = 0.05
"""How often a statement about a study may be wrong."""

_SHARES = frozenset(
    {
        *("accuracy", "acc", "binary_accuracy", "categorical_accuracy"),
        *("sparse_categorical_accuracy", "top_k_categorical_accuracy"),
        "sparse_top_k_categorical_accuracy",
    }
)
# A share of n examples is a multiple of 1 / n, up to float32's rounding.
_ROUNDING = 2e-7
_LARGEST_REMAINDER = 0.25


@dataclass(frozen=True)
class Interval:
    """An interval of a share, or of an error.

    Attributes:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


def is_share_metric(metric: str) -> bool:
    """Return whether a metric is a mean of one 0 or 1 per validation example, by its name.

    Example:
        >>> is_share_metric("val_accuracy"), is_share_metric("val_loss"), is_share_metric("val_f1")
        (True, False, False)
    """
    return metric.startswith("val_") and metric.removeprefix("val_") in _SHARES


def is_share(value: float, examples: int) -> bool:
    """Return whether a value can be a share of this many examples.

    A user's own metric may have the name of a share and be a mean over something else.
    """
    if not 0 <= value <= 1:
        return False
    remainder = abs(value * examples - round(value * examples))
    tolerance = max(1e-3, _ROUNDING * examples)
    # Where rounding hides the multiples, nothing speaks against it.
    return tolerance > _LARGEST_REMAINDER or remainder <= tolerance


def wilson_interval(share: float, examples: float, z: float | None = None) -> Interval:
    """Return the 95 % interval of a share (Wilson, JASA 22, 1927).

    Args:
        share: share of right answers, 0 to 1.
        examples: number of examples.
        z: quantile of the distribution; None for that of the normal distribution.

    Example:
        >>> wilson_interval(0.95, 80)
        Interval(low=0.878..., high=0.980...)
    """
    width = _quantile(1 - ERROR_RATE / 2) if z is None else z
    return Interval(_wilson_end(share, examples, -width), _wilson_end(share, examples, width))


def network_interval(share: float, examples: int, tried: int) -> Interval:
    """Return where the share of the best of several networks lies on new examples.

    The upper end is that of `wilson_interval`. The lower end is that at level 1 - 0.05 / tried
    (Bonferroni): each of the networks might have been the best by luck.

    Args:
        share: share of the best.
        examples: number of validation examples.
        tried: number of networks among which it is the best.
    """
    plain = wilson_interval(share, examples)
    low = _wilson_end(share, examples, -_quantile(1 - ERROR_RATE / tried))
    return Interval(min(plain.low, low), plain.high)


def reach_of_guessing(chance: float, examples: int, tried: int) -> float:
    """Return the largest share that the best of several guessing networks has by luck.

    By the exact binomial distribution: Wilson's lower end, compared with the chance level, would
    take luck for more in up to 15 % of studies of 10 classes.

    Args:
        chance: share that guessing is worth.
        examples: number of validation examples.
        tried: number of networks.

    Example:
        >>> reach_of_guessing(0.1, 239, 30)
        0.158...
    """
    return float(binom.isf(ERROR_RATE / tried, examples, chance)) / examples


def luck_of_best(shares: Sequence[float], examples: int) -> float:
    """Return by how much the best of equals is expected to exceed what they are worth.

    The expected maximum of k normal numbers is about z((k - 0.375) / (k + 0.25)) (Blom, 1958).

    Args:
        shares: shares of the networks that are taken for equals, the best included.
        examples: number of validation examples.
    """
    k = len(shares)
    # Their mean, not the best share, is what equals have in common; of a best of 1.0 the spread
    # would be none.
    mean = sum(shares) / k
    return _quantile((k - 0.375) / (k + 0.25)) * math.sqrt(mean * (1 - mean) / examples)


def largest_noise(share: float, other: float, examples: int, tried: int) -> float:
    """Return how far the best of several networks may exceed another one by noise alone.

    Args:
        share: share of the best.
        other: share of the other network on the same examples.
        examples: number of validation examples.
        tried: number of networks among which the best is the best.
    """
    variance = (share * (1 - share) + other * (1 - other)) / examples
    return _quantile(1 - ERROR_RATE / tried) * math.sqrt(variance)


def examples_per_point(share: float, examples: int) -> int:
    """Return how many examples tell a point (0.01) apart: 3.84 p (1 - p) / 0.01^2.

    Args:
        share: share of the best.
        examples: number of examples on which it was measured.
    """
    interval = wilson_interval(share, examples)
    # At a share of 0 or 1 the middle of the interval is the better guess of its true value.
    p = share if 0 < share < 1 else (interval.low + interval.high) / 2
    return math.ceil(_quantile(1 - ERROR_RATE / 2) ** 2 * p * (1 - p) / 0.01**2)


def _wilson_end(share: float, examples: float, z: float) -> float:
    centre = share + z * z / (2 * examples)
    spread = z * math.sqrt((share * (1 - share) + z * z / (4 * examples)) / examples)
    return min(1.0, max(0.0, (centre + spread) / (1 + z * z / examples)))


def _quantile(level: float) -> float:
    return float(norm.ppf(level))
