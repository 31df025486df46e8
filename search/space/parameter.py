"""One parameter of a space: what it can be, and when it exists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from models.errors import RequestError
from search.space.condition import Condition
from search.space.distributions import check_number, describe

Choice: TypeAlias = bool | int | float | str | list[Any]
"""A value that a parameter can have."""

_STEP_DIGITS = 12  # of 0.1 + 0.2, what is meant


@dataclass(frozen=True)
class Parameter:
    """A parameter of a space.

    Attributes:
        distribution: as Optuna has it. Optuna's choices can't be lists, so those are texts there.
        when: it exists only where all of these hold.
        lists: the choices that are lists, by their texts.
    """

    distribution: BaseDistribution
    when: tuple[Condition, ...] = ()
    lists: Mapping[str, list[Any]] = field(default_factory=dict)

    def decode(self, value: Any) -> Choice:
        """Return what is meant by a value as Optuna has it."""
        if isinstance(self.distribution, FloatDistribution) and self.distribution.step is not None:
            return float(round(value, _STEP_DIGITS))
        decoded: Choice = self.lists.get(value, value) if isinstance(value, str) else value
        return decoded

    def encode(self, value: Choice) -> bool | int | float | str:
        """Return a value as Optuna has it."""
        return text_of(value) if isinstance(value, list) else value

    def extremes(self) -> list[Choice]:
        """Return the values that show whether all of them are allowed: all choices, or both ends of a range."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return [self.decode(choice) for choice in choices]
            case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
                return [low, high]
            case _:
                raise TypeError(f"not a distribution of a space: {self.distribution}")

    def only(self, value: Choice) -> Parameter:
        """Return a parameter that can have just this value, under the same conditions."""
        lists = {text_of(value): value} if isinstance(value, list) else {}
        return Parameter(CategoricalDistribution([self.encode(value)]), self.when, lists)

    def check(self, where: str, value: object) -> Choice:
        """Return `value` as the parameter holds it.

        Raises:
            RequestError: it can't have this value; `where` says which parameter.
        """
        if not isinstance(self.distribution, CategoricalDistribution):
            return check_number(where, self.distribution, value)
        for choice in self.extremes():
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        listed = ", ".join(str(choice) for choice in self.extremes())
        raise RequestError(f"{where}: must be one of {listed}; received {value!r}.")

    def fulfilling(self, condition: Condition) -> Choice | None:
        """Return a value for which a condition on the parameter holds; None if there is none."""
        for value in (*self.extremes(), *condition.values, self._first_from(condition.low)):
            if value is not None and condition.holds(value) and self._has(value):
                return self.check("", value)
        return None

    def _first_from(self, bound: float) -> int | float | None:
        """Return the smallest value of a range that is not below a bound inside it."""
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step) if low <= bound <= high:
                return low + step * math.ceil((bound - low) / step)
            case FloatDistribution(low=low, high=high, step=float(step)) if low <= bound <= high:
                return float(round(low + step * math.ceil((bound - low) / step - 1e-9), _STEP_DIGITS))
            case FloatDistribution(low=low, high=high) if low <= bound <= high:
                return bound
            case _:
                return None

    def _has(self, value: object) -> bool:
        try:
            self.check("", value)
        except RequestError:
            return False
        return True

    def __str__(self) -> str:
        """Return the parameter in a few words that say all of it."""
        if self.lists:
            words = f"[{', '.join(repr(choice) for choice in self.extremes())}]"
        else:
            words = describe(self.distribution)
        return f"{words}, when {' and '.join(map(str, self.when))}" if self.when else words


def text_of(value: list[Any]) -> str:
    """Return the text that stands for a list among Optuna's choices."""
    return json.dumps(value)
