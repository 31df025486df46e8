"""Samplers by name: which configuration is tried next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.names import check_name

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class Sampler:
    """A sampler: one line of what it does, and how it is made from a seed."""

    summary: str
    make: Callable[[int], BaseSampler]


def _tpe(seed: int) -> BaseSampler:
    import optuna

    # Optuna 5's own defaults, multivariate and with a constant liar, which keeps workers from trying the same thing.
    return optuna.samplers.TPESampler(seed=seed)


def _random(seed: int) -> BaseSampler:
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


# Optuna is imported when a sampler is made, so that naming them costs the command line nothing.
SAMPLERS: Mapping[str, Sampler] = {
    "tpe": Sampler("tree-structured Parzen estimator: tries what resembles the good trials so far", _tpe),
    "random": Sampler("every configuration drawn independently", _random),
}


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a new sampler.

    Raises:
        RequestError: there is none of that name.
    """
    return SAMPLERS[check_name("sampler", name, SAMPLERS)].make(seed)
