"""Which test examples simulated networks get right: a probit model.

Network s of configuration c is right on example i where

    z(accuracy_c) + a D_i + b E_ci + q_c S_cs + w_c N_csi > 0

with independent standard normal D (difficulty of the example, the same for every configuration),
E (what the example is to this configuration), S (luck of the seed) and N (what an example is to
one network), and a^2 + b^2 + q^2 + w^2 = 1, so that accuracy_c is the expected accuracy over seeds
and examples.

The model is fixed by what can be measured on real networks: the accuracy, the standard deviation
of the networks' true accuracies over seeds, and the correlation (phi) of being right between two
networks of one configuration and of two. `python -m tests.simulations networks` measures them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, special


@dataclass(frozen=True)
class Configuration:
    """A simulated configuration.

    Attributes:
        accuracy: expected accuracy over seeds and examples.
        seed_sd: standard deviation over seeds of the accuracy on infinitely many examples.
    """

    accuracy: float
    seed_sd: float


@dataclass(frozen=True)
class Correlations:
    """Correlations (phi) of being right between two networks, at the accuracy of the first.

    Attributes:
        within: of two networks of one configuration.
        across: of networks of two configurations; equal procedures have the same as within.
    """

    within: float
    across: float


class ProbitModel:
    """Draws which examples the networks of several configurations get right."""

    def __init__(self, configurations: Sequence[Configuration], phi: Correlations) -> None:
        accuracy = configurations[0].accuracy
        shared = latent_correlation(phi.across, accuracy)
        own = latent_correlation(phi.within, accuracy) - shared
        seeds = np.array([_seed_share(each) for each in configurations])
        self._threshold = special.ndtri([each.accuracy for each in configurations])
        self._shared, self._own = math.sqrt(shared), math.sqrt(max(own, 0.0))
        self._seeds = np.sqrt(seeds)
        self._networks = np.sqrt(1 - shared - max(own, 0.0) - seeds)

    def draw(
        self, random: np.random.Generator, seeds: int, *examples: int
    ) -> tuple[NDArray[np.bool_], ...]:
        """Return for each set of examples what is right (configurations, seeds, examples).

        The sets are independent; the networks, and so the luck of their seeds, are the same.
        """
        luck = self._seeds[:, None] * random.standard_normal((len(self._seeds), seeds))
        return tuple(self._draw_set(random, luck, number) for number in examples)

    def _draw_set(
        self, random: np.random.Generator, luck: NDArray[np.float64], examples: int
    ) -> NDArray[np.bool_]:
        configurations, seeds = luck.shape
        normal = random.standard_normal
        latent = self._threshold[:, None] + self._shared * normal(examples)
        if self._own:
            latent = latent + self._own * normal((configurations, examples))
        latent = (latent[:, None, :] + luck[:, :, None]) / self._networks[:, None, None]
        return normal((configurations, seeds, examples), dtype=np.float32) < latent


@cache
def latent_correlation(phi: float, accuracy: float) -> float:
    """Return the correlation of two normals that are cut at `accuracy` with this phi."""
    product = accuracy**2 + phi * accuracy * (1 - accuracy)
    cut = float(special.ndtri(accuracy))
    return float(optimize.brentq(lambda rho: _both_below(cut, rho) - product, 0.0, 1 - 1e-9))


def _both_below(cut: float, correlation: float) -> float:
    """Return the probability that two normals of this correlation are both below `cut`."""

    # Plackett (1954): the derivative in the correlation is the density at the cut.
    def density(rho: float) -> float:
        return math.exp(-(cut**2) / (1 + rho)) / (2 * math.pi * math.sqrt(1 - rho**2))

    area, _ = integrate.quad(density, 0.0, correlation)
    return float(special.ndtr(cut)) ** 2 + area


@cache
def _seed_share(configuration: Configuration) -> float:
    """Return the share of the latent variance that makes the accuracies scatter by `seed_sd`."""
    accuracy, variance = configuration.accuracy, configuration.seed_sd**2
    if variance == 0:
        return 0.0
    cut = float(special.ndtri(accuracy))
    # Two networks are right on unrelated examples together with this probability if they share
    # the luck of their seed: the mean square of the accuracy.
    return float(
        optimize.brentq(lambda rho: _both_below(cut, rho) - accuracy**2 - variance, 0.0, 0.999)
    )
