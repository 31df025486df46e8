"""One parameter of a space: what it can be, and when it exists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from assay.models.errors import RequestError
from assay.models.settings import Settings

# Conditions: a parameter that exists only where others have certain values.


class _Bounds(Settings):
    """`{ low, high }`, one of which may be left out."""

    low: int | float | None = None
    high: int | float | None = None


@dataclass(frozen=True)
class Condition:
    """That a parameter, called `name`, is one of `values`, or lies from `low` to `high` where there
    are no values.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: object) -> bool:
        """Return whether it does where the parameter has this value."""
        if self.values:
            return any(_same(value, allowed) for allowed in self.values)
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )

    def __str__(self) -> str:
        if self.values:
            shown = " or ".join(repr(value) for value in self.values)
            return f"{self.name} = {shown}"
        if math.isinf(self.high):
            return f"{self.name} >= {self.low:g}"
        if math.isinf(self.low):
            return f"{self.name} <= {self.high:g}"
        return f"{self.low:g} <= {self.name} <= {self.high:g}"


def read_conditions(table: object, where: str) -> tuple[Condition, ...]:
    """Read what follows `when =`: for each name a value, a list of values or bounds.

    Raises:
        RequestError: it is something else; `where` says of which parameter.
    """
    if not isinstance(table, dict) or not table:
        raise RequestError(
            f"{where} when: must be a table such as {{ optimizer = 'momentum' }}; received {table!r}."
        )
    return tuple(_read(name, value, f"{where} when {name}") for name, value in table.items())


def _read(name: str, value: object, where: str) -> Condition:
    if isinstance(value, dict):
        bounds = _Bounds.read(value, where)
        if bounds.low is None and bounds.high is None:
            raise RequestError(
                f"{where}: must say low, high or both, such as {{ low = 2 }}; received {value!r}."
            )
        return Condition(
            name,
            low=-math.inf if bounds.low is None else bounds.low,
            high=math.inf if bounds.high is None else bounds.high,
        )
    values = value if isinstance(value, list) else [value]
    if not values:
        raise RequestError(f"{where}: a list of values must not be empty; add one.")
    return Condition(name, tuple(values))


def _same(one: object, other: object) -> bool:
    """Whether two values are the same to a reader of TOML, to whom true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


# Optuna's distributions: what values they have, and how they are described.


def check_number(where: str, distribution: BaseDistribution, value: object) -> int | float:
    """Return a number as a range holds it.

    Raises:
        RequestError: it lies outside.
    """
    match distribution:
        case IntDistribution(low=low, high=high, step=step):
            if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
                if (value - low) % step == 0:
                    return value
                raise RequestError(
                    f"{where}: must be {low} plus a multiple of {step}; received {value!r}."
                )
            raise RequestError(
                f"{where}: must be a whole number from {low} to {high}; received {value!r}."
            )
        case FloatDistribution(low=float(low), high=float(high), step=step):
            if (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and low <= value <= high
            ):
                if step is None or divides(step, value - low):
                    return float(value)
                raise RequestError(
                    f"{where}: must be {low:g} plus a multiple of {step:g}; received {value!r}."
                )
            raise RequestError(
                f"{where}: must be a number from {low:g} to {high:g}; received {value!r}."
            )
        case _:
            raise TypeError(f"not a range: {distribution}")


def describe(distribution: BaseDistribution) -> str:
    """Return a distribution in a few words that say all of it."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return f"[{', '.join(repr(choice) for choice in choices)}]"
        case IntDistribution(low=low, high=high, log=log, step=step):
            return f"{low} to {high}{', log' if log else ''}{f', step {step}' if step != 1 else ''}"
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return f"{low!r} to {high!r}{', log' if log else ''}{f', step {step!r}' if step is not None else ''}"
        case _:
            raise TypeError(f"not a distribution of a space: {distribution}")


def divides(step: float, distance: float) -> bool:
    """Whether a distance is a whole number of steps, up to what floats can't hold (0.3 is three
    times 0.1).
    """
    steps = Decimal(str(distance)) / Decimal(str(step))
    return abs(steps - round(steps)) < Decimal("1e-9")


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

    def extreme_values(self) -> list[Choice]:
        """Return the values that show whether all of them are allowed: all choices, or both ends of
        a range.
        """
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
        for choice in self.extreme_values():
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        listed = ", ".join(str(choice) for choice in self.extreme_values())
        raise RequestError(f"{where}: must be one of {listed}; received {value!r}.")

    def fulfilling(self, condition: Condition) -> Choice | None:
        """Return a value for which a condition on the parameter holds; None if there is none."""
        for value in (*self.extreme_values(), *condition.values, self._first_from(condition.low)):
            if value is not None and condition.holds(value) and self._has(value):
                return self.check("", value)
        return None

    def _first_from(self, bound: float) -> int | float | None:
        """Return the smallest value of a range that is not below a bound inside it."""
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step) if low <= bound <= high:
                return low + step * math.ceil((bound - low) / step)
            case FloatDistribution(low=low, high=high, step=float(step)) if low <= bound <= high:
                return float(
                    round(low + step * math.ceil((bound - low) / step - 1e-9), _STEP_DIGITS)
                )
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
            words = f"[{', '.join(repr(choice) for choice in self.extreme_values())}]"
        else:
            words = describe(self.distribution)
        return f"{words}, when {' and '.join(map(str, self.when))}" if self.when else words


def text_of(value: list[Any]) -> str:
    """Return the text that stands for a list among Optuna's choices."""
    return json.dumps(value)
