"""What the seeds of one configuration say: mean, spread, interval, and the leader of several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from assay.experiments.formatting import format_metric
from assay.models.errors import RequestError


@dataclass(frozen=True)
class MeanInterval:
    """Mean of a metric over seeds, with its spread and interval.

    Attributes:
        mean: mean over the seeds.
        sd: standard deviation over the seeds, with N - 1; None with one seed.
        low: lower end of the 95 % t interval of the mean over new seeds on the same examples;
            None with one seed.
        high: upper end.
        seeds: number of seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    seeds: int


def mean_interval(values: ArrayLike) -> MeanInterval:
    """Return mean, standard deviation and 95 % interval of a metric over seeds.

    The interval is about new seeds on the same examples. Two such intervals say nothing about
    which configuration is better on new examples; see `compare_scores`.

    Args:
        values: the metric of each network (seeds,).

    Raises:
        RequestError: there is no value, or one is not finite.

    Example:
        >>> mean_interval([0.91, 0.93, 0.95])
        MeanInterval(mean=0.93, sd=0.02, low=0.8803..., high=0.9796..., seeds=3)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise RequestError(
            f"A mean over seeds takes one finite value per seed: received {array.tolist()}; "
            "leave out seeds that diverged."
        )
    mean = float(array.mean())
    if array.size < 2:
        return MeanInterval(mean, None, None, None, array.size)
    sd = float(array.std(ddof=1))
    margin = float(stats.t.isf(0.025, array.size - 1)) * sd / math.sqrt(array.size)
    return MeanInterval(mean, sd, mean - margin, mean + margin, array.size)


def format_interval(interval: MeanInterval | None) -> str:
    """Return a mean with its interval and spread; empty for None.

    Example:
        >>> format_interval(mean_interval([0.91, 0.93, 0.95]))
        '0.9300 [0.8803, 0.9797], sd 0.0200'
    """
    if interval is None:
        return ""
    text = format_metric(interval.mean)
    if interval.low is None or interval.high is None or interval.sd is None:
        return text
    low, high = format_metric(interval.low), format_metric(interval.high)
    return f"{text} [{low}, {high}], sd {format_metric(interval.sd)}"


def choose_leader(validation_means: Mapping[str, float], *, greater_is_better: bool) -> str:
    """Return the configuration with the best mean validation score; of equal ones the first.

    The test set plays no part. A configuration whose mean is not finite is never chosen.

    Args:
        validation_means: mean validation score over the fresh seeds by configuration.
        greater_is_better: whether a greater score is better.

    Raises:
        RequestError: no mean is finite.
    """
    finite = {name: mean for name, mean in validation_means.items() if math.isfinite(mean)}
    if not finite:
        raise RequestError(
            "A leader takes a finite mean validation score: received "
            f"{dict(validation_means)}; train a configuration that does not diverge."
        )
    return max(finite, key=lambda name: finite[name] if greater_is_better else -finite[name])
