"""A grid as Optuna asks for one.

Optuna's own grid takes no conditions: it would try what exists only beside other values several
times over.
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
from assay.search.space.grid import grid

ENQUEUED = "fixed_params"
"""Where Optuna keeps what a trial was enqueued with, among the attributes of its own."""


class GridSampler(BaseSampler):
    """Gives every configuration of a space that has not been taken yet.

    Args:
        space: without continuous ranges.
        seed: shuffles the order, which is the same in every session of a study.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        configurations = list(grid(space))
        random.Random(seed).shuffle(configurations)
        self._left = {self._key(one): space.encode(one) for one in configurations}

    @property
    def left(self) -> int:
        """How many configurations have not been taken."""
        return len(self._left)

    def take(self, configuration: Configuration) -> None:
        """Leave a configuration out from now on, whoever thought of it."""
        self._left.pop(self._key(configuration), None)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: each value is drawn when it is asked for."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing, for the same reason."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value in the first configuration left that agrees with what the trial has so
        far.
        """
        known = {**trial.system_attrs.get(ENQUEUED, {}), **trial.params}
        for one in self._left.values():
            if param_name in one and _agree(one, known):
                return one[param_name]
        # What was enqueued in part has been tried in every way: which of them comes twice is
        # nobody's concern.
        parameter = self._space[param_name]
        return parameter.encode(parameter.extremes()[0])

    def _key(self, configuration: Configuration) -> str:
        return json.dumps(dict(configuration), sort_keys=True)


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(name in one and _same(one[name], value) for name, value in other.items())


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= 1e-9 * max(1.0, abs(one))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
