"""The best value to expect of a number of random trials (Lourie, Cho and He, 2023).

Trials of random search are independent draws. From the distribution of their values follows what
the best of n of them is worth, and from a simultaneous confidence band of that distribution follows
one of the whole curve, whatever the distribution is (arXiv:2311.09480, by the library opda).

For other samplers there is no such curve: what they propose depends on the values before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from assay.experiments.formatting import format_count
from assay.experiments.report.collection.plain import to_finite, to_text
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import ExpectedBestRecord
from assay.search.events import INTERRUPTED_LABEL
from assay.search.importances import find_given_trials, find_repeated_trials
from assay.search.storage.stored_values import STATE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MIN_TRIALS = 5
"""Fewer draws have no band that says anything."""

MOST_EXACT = 60
"""Up to so many draws the band is that of Learned-Miller and DeStefano, which is tighter at the
best values. opda simulates it, which takes 0.03 s for each draw.
"""

_POINTS = 40
_CONFIDENCE = 0.95
_INDEPENDENT = ("random", "grid")
_BAND_NAMES = {
    "ld_equal_tailed": "Learned-Miller and DeStefano",
    "ks": "Kolmogorov and Smirnov",
    "dkw": "Dvoretzky, Kiefer and Wolfowitz",
}


def explain_no_curve(sources: StudySources) -> str:
    """Return why there is no curve of the best value to expect; empty if there can be one."""
    samplers = list(sources.samplers)
    if sources.objectives.single is None:
        return "With several objectives there is no single best value to expect."
    if not any(trial.state.name in ("COMPLETE", "PRUNED") for trial in sources.trials):
        return "No trial was trained to its end, so there is no value to expect."
    if not samplers:
        return "Which sampler drew the trials is not recorded, so they may not be independent."
    if any(name not in _INDEPENDENT for name in samplers):
        return (
            f"Trials of the sampler {' and '.join(samplers)} are no independent draws, so nothing "
            "follows from them about what another search would find: their history is shown."
        )
    if len(set(samplers)) > 1:
        return f"The trials were drawn by several samplers ({', '.join(samplers)})."
    pruned = sum(trial.state.name == "PRUNED" for trial in sources.trials)
    if pruned:
        return (
            f"{format_count(pruned, 'trial')} {'was' if pruned == 1 else 'were'} pruned: the value "
            "after a full training is not known, and the other trials are no random draws. Their "
            "history is shown."
        )
    drawn = len(find_draws(sources))
    if drawn < MIN_TRIALS:
        return (
            f"At least {MIN_TRIALS} trials that the sampler drew are needed: the study has {drawn}."
        )
    return ""


def find_draws(sources: StudySources) -> list[float]:
    """Return the value of each configuration that the sampler drew, in the order of trials.

    Baselines and enqueued trials are no draws. A trial that was interrupted was done again and
    counts once, as does one that was retried. One that failed has the worst value.
    """
    given = find_given_trials(sources.trials)
    repeated = find_repeated_trials(sources.trials)
    direction = sources.objectives.each[0].direction
    worst = -math.inf if direction == "maximize" else math.inf
    draws = []
    for trial in sources.trials:
        if trial.number in given or trial.number in repeated or trial.state.name == "RUNNING":
            continue
        if trial.user_attrs.get(STATE) == INTERRUPTED_LABEL:
            continue
        value = _value(trial)
        draws.append(worst if value is None else value)
    return draws


def _value(trial: FrozenTrial) -> float | None:
    return to_finite(trial.values[0]) if trial.state.name == "COMPLETE" else None


def collect_expected_best(sources: StudySources) -> tuple[list[ExpectedBestRecord], str]:
    """Return the curve of the best value to expect, and what it is of.

    Returns:
        About 40 points, from one trial to all of them; and a sentence. Both are empty if there is
        no curve: `explain_no_curve` says why.
    """
    if explain_no_curve(sources):
        return [], ""
    draws, is_grid = find_draws(sources), sources.samplers[0] == "grid"
    method = choose_band(len(draws), is_grid)
    minimize = sources.objectives.each[0].direction == "minimize"
    points = [
        ExpectedBestRecord(
            study=to_text(sources.name), trials=trials, median=median, low=low, high=high
        )
        for trials, median, low, high in compute_curve(draws, minimize=minimize, method=method)
    ]
    failed = sum(math.isinf(value) for value in draws)
    return points, _describe(len(draws), failed, method, is_grid) if points else ""


def choose_band(draws: int, is_grid: bool) -> str:
    """Return opda's name of the band for a number of draws."""
    if is_grid:
        # Drawn without replacement: of the bands that hold for such draws too, the known one
        # (Greene and Wellner, 2016).
        return "dkw"
    return "ld_equal_tailed" if draws <= MOST_EXACT else "ks"


def compute_curve(
    draws: Sequence[float], *, minimize: bool, method: str
) -> list[tuple[int, float, float | None, float | None]]:
    """Return points of the median of the best of n draws, with simultaneous 95 % bands.

    Equal values are allowed: the bands are then wider than needed.

    Args:
        draws: independent values; infinite for a draw without one.
        minimize: whether smaller values are better.
        method: opda's name of the band.

    Returns:
        n, the median, and the ends of the band; None where it is unbounded. Points without a finite
        median are left out.
    """
    import warnings  # beside opda, which warns of equal values

    from opda.nonparametric import EmpiricalDistribution  # here, because it takes a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        lower, point, upper = EmpiricalDistribution.confidence_bands(
            np.asarray(draws, np.float64),
            confidence=_CONFIDENCE,
            method=method,
            generator=np.random.default_rng(0),
            n_jobs=1,  # no processes of its own
        )
    ns = np.unique(np.geomspace(1, len(draws), _POINTS).round().astype(int))
    curves = [one.quantile_tuning_curve(ns, minimize=minimize) for one in (upper, point, lower)]
    return [
        (int(n), float(median), to_finite(float(low)), to_finite(float(high)))
        for n, low, median, high in zip(ns, *curves, strict=True)
        if math.isfinite(median)
    ]


def _describe(draws: int, failed: int, method: str, is_grid: bool) -> str:
    text = (
        f"Median of the best value of n trials, from {draws} trials that the sampler drew, with a "
        f"simultaneous 95 % band that holds whatever the distribution is ({_BAND_NAMES[method]}; "
        "Lourie, Cho and He, 2023)."
    )
    if failed:
        text += f" {format_count(failed, 'trial')} of them failed and count as the worst value."
    if is_grid:
        text += (
            " A grid is drawn in random order without repeating a configuration, so the band is "
            "wider than needed; it is about trials drawn from this grid."
        )
    return text
