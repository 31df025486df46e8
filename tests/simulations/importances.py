"""How often `ranks` declares a hyperparameter without effect, and finds one with an effect.

Every study is one of Optuna, in memory, with the sampler that it names. The values come from
formulas: a learning rate with a best place, hidden units with an effect in proportion, and an
activation and a batch size without effect.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from scipy.stats import binom

from assay.search.importances import ImportanceReport, report_importances
from assay.search.objective import Objectives
from assay.search.samplers import make_sampler
from assay.search.space import read_space
from assay.search.storage.stored_values import SAMPLERS
from tests.simulations.row import Row

STUDIES, QUICK_STUDIES = 1_000, 60
NOISE = 0.5  # points
LEVEL = 0.05
SPACE = read_space(
    {
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "hidden_units": {"low": 16.0, "high": 512.0},
        "activation": ["relu", "tanh", "sigmoid"],
        "batch_size": [16, 32, 64, 128],
    }
)
OBJECTIVES = Objectives.read(["maximize val_accuracy"])


@dataclass(frozen=True)
class Truth:
    """What the values of a study are made of.

    Attributes:
        sampler: the sampler of the study.
        trials: number of trials.
        rate_points: what the best learning rate is worth against the worst, in points.
        units_points: what the most hidden units are worth against the fewest.
        activation_points: what one activation is worth against the two others.
        pruned_fraction: share of the trials that are pruned, the worst ones.
        named: the sampler that the study names, by which trials are permuted; None: its own.
    """

    sampler: Literal["random", "tpe"]
    trials: int
    rate_points: float = 0.0
    units_points: float = 0.0
    activation_points: float = 0.0
    pruned_fraction: float = 0.0
    named: str | None = None

    @property
    def without_effect(self) -> set[str]:
        """The hyperparameters without effect."""
        points = {
            "learning_rate": self.rate_points,
            "hidden_units": self.units_points,
            "activation": self.activation_points,
            "batch_size": 0.0,
        }
        return {name for name, worth in points.items() if worth == 0}

    def value(self, trial: optuna.Trial, noise: float) -> float:
        """Return the value of a trial, and draw its hyperparameters."""
        drawn = SPACE.draw(functools.partial(_suggest, trial))
        rate = (np.log10(float(str(drawn["learning_rate"]))) + 4) / 3
        units = (float(str(drawn["hidden_units"])) - 16) / (512 - 16)
        # The best rate is at 0.6 of the range, the worst at its lower end.
        points = self.rate_points * (1 - ((rate - 0.6) / 0.6) ** 2) + self.units_points * units
        points += self.activation_points * (drawn["activation"] == "relu")
        return float(points + NOISE * noise)


NULLS = [
    Truth("random", 20),
    Truth("random", 30),
    Truth("random", 50, rate_points=2.0),
    Truth("random", 60, rate_points=2.0, pruned_fraction=0.5),
    Truth("tpe", 30, rate_points=2.0),
    Truth("tpe", 100),
    Truth("tpe", 100, rate_points=2.0),
    Truth("tpe", 100, rate_points=3.0, units_points=2.0),
]
# What the blocks are for: a study that names a sampler that does not learn has none.
WITHOUT_BLOCKS = Truth("tpe", 100, rate_points=2.0, named="random")
EFFECTS = [
    *(Truth("random", trials, units_points=2.0) for trials in (20, 30, 50)),
    *(Truth("random", trials, rate_points=3.0, units_points=2.0) for trials in (20, 30, 50)),
    Truth("random", 60, units_points=2.0, pruned_fraction=0.5),
    Truth("random", 60, rate_points=3.0, units_points=2.0, pruned_fraction=0.5),
    Truth("tpe", 50, rate_points=3.0, units_points=2.0),
    Truth("tpe", 100, rate_points=3.0, units_points=2.0),
]
OF_OPTUNA = [
    (evaluator, Truth("random", trials, activation_points=1.0))
    for evaluator, trials in itertools.product(("ped-anova", "fanova"), (50, 100))
]


def rows(quick: bool) -> Iterator[Row]:
    """Yield a row for each kind of study.

    Args:
        quick: simulate few studies of each kind.
    """
    studies = QUICK_STUDIES if quick else STUDIES
    # One-sided 5 % over all null cells together, by Bonferroni.
    most = int(binom.ppf(1 - LEVEL / len(NULLS), studies, LEVEL))
    for truth in NULLS:
        found = _count(functools.partial(declares_null, truth), studies)
        yield Row(_describe(truth), "one without effect is declared", found, studies, most)
    few = studies // 3  # of what is reported, not bounded
    found = _count(functools.partial(declares_null, WITHOUT_BLOCKS), few)
    yield Row(_describe(WITHOUT_BLOCKS), "one without effect is declared", found, few)
    for truth in EFFECTS:
        found = _count(functools.partial(finds_units, truth), few)
        yield Row(_describe(truth), "hidden_units is found", found, few)
    for truth in (EFFECTS[1], EFFECTS[4], Truth("random", 30)):
        share = true_share(truth)
        found = _count(functools.partial(covers, truth, share), few)
        least = int(binom.ppf(LEVEL / 3, few, 0.9))
        covered = f"the interval of hidden_units covers its share of {share:.2f}"
        yield Row(_describe(truth), covered, found, few, least=least)
    for evaluator, truth in OF_OPTUNA:
        few = studies // 10  # a random forest takes a second
        found = _count(functools.partial(ranks_null_first, truth, evaluator), few)
        yield Row(_describe(truth), f"{evaluator} ranks one without effect first", found, few)


def declares_null(truth: Truth, seed: int) -> bool:
    """Return whether any hyperparameter without effect is declared important."""
    return bool(truth.without_effect & set(simulate(truth, seed).shown))


def finds_units(truth: Truth, seed: int) -> bool:
    """Return whether the effect of the hidden units is found."""
    return "hidden_units" in simulate(truth, seed).shown


def covers(truth: Truth, share: float, seed: int) -> bool:
    """Return whether the interval of the hidden units covers a share."""
    importance = simulate(truth, seed).shares["hidden_units"]
    assert importance.low is not None
    assert importance.high is not None
    return importance.low <= share <= importance.high


def ranks_null_first(truth: Truth, evaluator: str, seed: int) -> bool:
    """Return whether an evaluator gives the greatest share to one without effect."""
    first = next(iter(simulate(truth, seed, evaluator).shown), None)
    return first in truth.without_effect


def true_share(truth: Truth) -> float:
    """Return the share of the hidden units in a study of very many trials."""
    # Their ranks by another way than the code's: SciPy's, of thirds of the range itself.
    from scipy.stats import rankdata

    random = np.random.default_rng(0)
    trials = 300_000
    rate, units = random.random(trials), random.random(trials)
    points = truth.rate_points * (1 - ((rate - 0.6) / 0.6) ** 2) + truth.units_points * units
    ranks = rankdata(points + NOISE * random.standard_normal(trials))
    means = [ranks[(units * 3).astype(int) == third].mean() for third in range(3)]
    return float(np.var(means) / np.var(ranks))


def simulate(truth: Truth, seed: int, evaluator: str = "ranks") -> ImportanceReport:
    """Return the importance that a simulated study reports."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    noises = np.random.default_rng([truth.trials, seed]).standard_normal(truth.trials)
    sampler = make_sampler(truth.sampler, seed, 0, SPACE)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for noise in noises:
        trial = study.ask()
        study.tell(trial, truth.value(trial, float(noise)))
    study.set_user_attr(SAMPLERS, [truth.named or truth.sampler])
    if truth.pruned_fraction:
        study = _prune_worst(study, truth.pruned_fraction)
    return report_importances(study, evaluator, SPACE, OBJECTIVES)["val_accuracy"]


def _prune_worst(known: optuna.Study, fraction: float) -> optuna.Study:
    """Return a study in which a share of the trials is pruned: the worst ones."""
    trials = known.trials
    study = optuna.create_study(direction="maximize")
    study.set_user_attr(SAMPLERS, known.user_attrs[SAMPLERS])
    bound = np.quantile([trial.value for trial in trials], fraction)
    for trial in trials:
        assert trial.value is not None
        is_pruned = trial.value < bound
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
                value=None if is_pruned else trial.value,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=trial.user_attrs,
            )
        )
    return study


def _suggest(trial: optuna.Trial, name: str, distribution: object) -> float | str | int:
    match distribution:
        case CategoricalDistribution(choices=choices):
            chosen: str | int = trial.suggest_categorical(name, choices)
            return chosen
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case _:
            raise TypeError(f"not simulated: {distribution}")


def _describe(truth: Truth) -> str:
    points = {
        "learning_rate": truth.rate_points,
        "hidden_units": truth.units_points,
        "activation": truth.activation_points,
    }
    worth = [f"{name} worth {points:g}" for name, points in points.items() if points]
    pruned = [f"{truth.pruned_fraction:.0%} pruned"] if truth.pruned_fraction else []
    free = ["permuted freely"] if truth.named == "random" else []
    return ", ".join(
        [f"{truth.trials} {truth.sampler} trials", *free, *pruned, *(worth or ["no effect"])]
    )


def _count(shows: Callable[[int], bool], studies: int) -> int:
    """Return in how many studies something shows, on all cores."""
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return sum(pool.map(shows, range(studies), chunksize=10))
