"""Sampler of Optuna for a grid whose space may have conditions.

Optuna's own `GridSampler` knows no conditions: it would try a configuration once for every value of
a hyperparameter that does not exist in it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from assay.search.space import Configuration, Space
from assay.search.space.grid import grid_configurations

ENQUEUED = "fixed_params"
"""Optuna's system attribute of a trial that was enqueued: the parameters it was enqueued with."""


class GridSampler(BaseSampler):
    """Proposes every configuration of a space that has not been removed.

    Args:
        space: the search space, without continuous ranges.
        seed: shuffles the order, which is the same in every session of a study.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        configurations = list(grid_configurations(space))
        # Shuffled, so that a search which is stopped early has seen all parts of the space.
        random.Random(seed).shuffle(configurations)
        # As Optuna has them, by a key that does not depend on the order of names.
        self._remaining = {
            self._key(configuration): space.encode(configuration)
            for configuration in configurations
        }

    @property
    def remaining(self) -> int:
        """The number of configurations that are left to propose."""
        return len(self._remaining)

    def remove(self, configuration: Configuration) -> None:
        """Remove a configuration that is tried, whether from the grid or enqueued."""
        self._remaining.pop(self._key(configuration), None)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no parameters: each is sampled independently."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no values: each is sampled independently."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of the first remaining configuration that has the trial's values."""
        known = {**trial.system_attrs.get(ENQUEUED, {}), **trial.params}
        for configuration in self._remaining.values():
            if param_name in configuration and _agrees(configuration, known):
                return configuration[param_name]
        # The trial was enqueued with a part of its parameters, and all configurations that have
        # them were tried: one of them is tried twice.
        parameter = self._space[param_name]
        return parameter.encode(parameter.extreme_values()[0])

    def _key(self, configuration: Configuration) -> str:
        return json.dumps(dict(configuration), sort_keys=True)


def _agrees(configuration: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    return all(
        name in configuration and _is_equal(configuration[name], value)
        for name, value in known.items()
    )


def _is_equal(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, int | float):
        # Optuna computes a step's value from its index: 0.30000000000000004 is 0.3.
        return abs(value - other) <= 1e-9 * max(1.0, abs(value))
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
