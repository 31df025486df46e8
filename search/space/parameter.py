"""Parameter of a space: its distribution, and the conditions under which it is active."""

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

Choice: TypeAlias = bool | int | float | str | list[Any]
"""A value that a parameter can have."""

MOST_CHOICES = 1_000
"""Most choices of a parameter, and most values in a choice that is a list or in a condition."""

_STEP_DIGITS = 12  # 0.1 + 0.2 is meant to be 0.3


@dataclass(frozen=True)
class Condition:
    """Condition on another parameter, by which a parameter is active.

    Attributes:
        name: name of the other parameter.
        values: the values for which it holds; empty if it has bounds.
        low: lower bound.
        high: upper bound.

    Example:
        >>> Condition("optimizer", ("momentum",)).holds("adam")
        False
        >>> str(Condition("layers", low=2))
        'layers >= 2'
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: object) -> bool:
        """Return whether the condition holds if the other parameter has this value."""
        if self.values:
            return any(_is_same(value, allowed) for allowed in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high

    def to_toml(self) -> Any:
        """Return what stands behind its name in `when`, as TOML has it."""
        if self.values:
            return list(self.values)
        bounds = {"low": self.low, "high": self.high}
        return {name: bound for name, bound in bounds.items() if math.isfinite(bound)}

    def __str__(self) -> str:
        if self.values:
            values = " or ".join(repr(value) for value in self.values)
            return f"{self.name} = {values}"
        if math.isinf(self.high):
            return f"{self.name} >= {self.low:g}"
        if math.isinf(self.low):
            return f"{self.name} <= {self.high:g}"
        return f"{self.low:g} <= {self.name} <= {self.high:g}"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a space.

    Attributes:
        distribution: Optuna's distribution. Its choices cannot be lists, so these are JSON there.
        when: the parameter is active if all of these hold.
        lists: the choices that are lists, by their JSON.
        has_step: whether a step was written for a range of integers, whose default step is 1.

    Example:
        >>> str(Parameter(IntDistribution(16, 512, log=True)))
        '16 to 512, log'
    """

    distribution: BaseDistribution
    when: tuple[Condition, ...] = ()
    lists: Mapping[str, list[Any]] = field(default_factory=dict)
    has_step: bool = field(default=False, compare=False)

    @property
    def is_range(self) -> bool:
        """Whether its values are the numbers of a range, not choices."""
        return not isinstance(self.distribution, CategoricalDistribution)

    @property
    def has_lists(self) -> bool:
        """Whether some of its values are lists."""
        return bool(self.lists)

    def decode(self, value: Any) -> Choice:
        """Return the value that one of Optuna's values stands for."""
        if isinstance(self.distribution, FloatDistribution) and self.distribution.step is not None:
            return float(round(value, _STEP_DIGITS))
        decoded: Choice = self.lists.get(value, value) if isinstance(value, str) else value
        return decoded

    def encode(self, value: Choice) -> bool | int | float | str:
        """Return a value as Optuna has it."""
        return encode_list(value) if isinstance(value, list) else value

    def to_toml(self) -> dict[str, Any]:
        """Return the table in [space] that `read_space` reads as this parameter.

        Example:
            >>> Parameter(IntDistribution(16, 512, log=True)).to_toml()
            {'low': 16, 'high': 512, 'log': True}
        """
        table: dict[str, Any]
        match self.distribution:
            case CategoricalDistribution():
                table = {"choices": self.extreme_values()}
            case IntDistribution(low=low, high=high, log=log, step=step):
                table = {"low": low, "high": high}
                table |= {"log": True} if log else {"step": step} if self.has_step else {}
            case FloatDistribution(low=low, high=high, log=log, step=step):
                table = {"low": low, "high": high}
                table |= {"log": True} if log else {} if step is None else {"step": step}
            case _:
                raise TypeError(f"not a distribution of a space: {self.distribution}")
        conditions = {condition.name: condition.to_toml() for condition in self.when}
        return {**table, "when": conditions} if conditions else table

    def extreme_values(self) -> list[Choice]:
        """Return all choices, or both ends of a range.

        If a model accepts these, it accepts the other values too.
        """
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return [self.decode(choice) for choice in choices]
            case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
                return [low, high]
            case _:
                raise TypeError(f"not a distribution of a space: {self.distribution}")

    def extreme_value(self, end: int) -> Choice:
        """Return the first choice or the lower end of a range for 0, the last or upper for -1."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return self.decode(choices[end])
            case _:
                return self.extreme_values()[end]

    def fixed_to(self, value: Choice) -> Parameter:
        """Return a parameter with this value alone, under the same conditions."""
        if isinstance(self.distribution, FloatDistribution) and type(value) is int:
            value = float(value)
        lists = {encode_list(value): value} if isinstance(value, list) else {}
        return Parameter(CategoricalDistribution([self.encode(value)]), self.when, lists)

    def with_real_range(self) -> Parameter:
        """Return the parameter with a range of reals in place of integers.

        Choices and ranges of reals are returned unchanged.

        Example:
            >>> str(Parameter(IntDistribution(0, 1)).with_real_range())
            '0.0 to 1.0'
        """
        match self.distribution:
            case IntDistribution(low=low, high=high, log=log, step=step):
                real = FloatDistribution(
                    float(low), float(high), log=log, step=float(step) if self.has_step else None
                )
                return Parameter(real, self.when)
            case _:
                return self

    def check(self, where: str, value: object) -> Choice:
        """Check a value, and return it as the parameter has it.

        Args:
            where: the beginning of the message.
            value: the value.

        Raises:
            RequestError: the parameter cannot have this value.
        """
        if not isinstance(self.distribution, CategoricalDistribution):
            return check_number(where, self.distribution, value)
        for choice in self.extreme_values():
            if _is_same(choice, value):
                return choice
        choices = ", ".join(str(choice) for choice in self.extreme_values())
        raise RequestError(f"{where}: must be one of {choices}; received {value!r}.")

    def value_fulfilling(self, condition: Condition) -> Choice | None:
        """Return a value that fulfils a condition, or None."""
        candidates = (
            *self.extreme_values(),
            *condition.values,
            self._smallest_from(condition.low),
        )
        for value in candidates:
            if value is not None and condition.holds(value) and self._allows(value):
                return self.check("", value)
        return None

    def _smallest_from(self, bound: float) -> int | float | None:
        """Return the smallest value of a range that is not below a bound within it."""
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step) if low <= bound <= high:
                return low + step * math.ceil((bound - low) / step)
            case FloatDistribution(low=low, high=high, step=float(step)) if low <= bound <= high:
                steps = math.ceil((bound - low) / step - 1e-9)
                return float(round(low + step * steps, _STEP_DIGITS))
            case FloatDistribution(low=low, high=high) if low <= bound <= high:
                return bound
            case _:
                return None

    def _allows(self, value: object) -> bool:
        try:
            self.check("", value)
        except RequestError:
            return False
        return True

    def __str__(self) -> str:
        # Part of a study's fingerprint: equal texts mean equal parameters, in existing studies too.
        if self.lists:
            text = f"[{', '.join(repr(choice) for choice in self.extreme_values())}]"
        else:
            text = format_distribution(self.distribution)
        return f"{text}, when {' and '.join(map(str, self.when))}" if self.when else text


def encode_list(value: list[Any]) -> str:
    """Return the JSON that stands for a list among Optuna's choices."""
    return json.dumps(value)


def format_distribution(distribution: BaseDistribution) -> str:
    """Return a distribution as a short and complete text."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return f"[{', '.join(repr(choice) for choice in choices)}]"
        case IntDistribution(low=low, high=high, log=log, step=step):
            return f"{low} to {high}{', log' if log else ''}{f', step {step}' if step != 1 else ''}"
        case FloatDistribution(low=low, high=high, log=log, step=step):
            suffix = f", step {step!r}" if step is not None else ""
            return f"{low!r} to {high!r}{', log' if log else ''}{suffix}"
        case _:
            raise TypeError(f"not a distribution of a space: {distribution}")


def check_number(where: str, distribution: BaseDistribution, value: object) -> int | float:
    """Check a number against a range, and return it as the range has it.

    Args:
        where: the beginning of the message.
        distribution: the range.
        value: the number.

    Raises:
        RequestError: it is not in the range, or between two steps.
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


def divides(step: float, distance: float) -> bool:
    """Return whether a distance is a multiple of a step, up to rounding."""
    # By decimals: as floats, 0.3 is not 3 times 0.1.
    steps = Decimal(str(distance)) / Decimal(str(step))
    return abs(steps - round(steps)) < Decimal("1e-9")


class _Bounds(Settings):
    """`{ low, high }`, of which one may be left out."""

    low: int | float | None = None
    high: int | float | None = None


def read_conditions(table: object, where: str) -> tuple[Condition, ...]:
    """Read the table behind `when =`.

    Args:
        table: for each name a value, a list of values, or bounds.
        where: the beginning of messages.

    Raises:
        RequestError: it is something else.
    """
    if not isinstance(table, dict) or not table:
        raise RequestError(
            f"{where} when: must be a table such as {{ optimizer = 'momentum' }}; "
            f"received {table!r}."
        )
    return tuple(
        _read_condition(name, value, f"{where} when {name}") for name, value in table.items()
    )


def _read_condition(name: str, value: object, where: str) -> Condition:
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
    if len(values) > MOST_CHOICES:
        raise RequestError(
            f"{where}: a condition takes at most {MOST_CHOICES:,} values; received "
            f"{len(values):,}: write bounds such as {{ low = 2 }}."
        )
    return Condition(name, tuple(values))


def _is_same(value: object, other: object) -> bool:
    """Return whether two values are the same in TOML, where true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)
