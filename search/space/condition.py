"""Conditions: a parameter that exists only where others have certain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from models.errors import RequestError
from models.settings import Settings


class _Bounds(Settings):
    """`{ low, high }`, one of which may be left out."""

    low: int | float | None = None
    high: int | float | None = None


@dataclass(frozen=True)
class Condition:
    """That a parameter, called `name`, is one of `values`, or lies from `low` to `high` where there are no values."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: object) -> bool:
        """Return whether it does where the parameter has this value."""
        if self.values:
            return any(_same(value, allowed) for allowed in self.values)
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

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
        raise RequestError(f"{where} when: must be a table such as {{ optimizer = 'momentum' }}; received {table!r}.")
    return tuple(_read(name, value, f"{where} when {name}") for name, value in table.items())


def _read(name: str, value: object, where: str) -> Condition:
    if isinstance(value, dict):
        bounds = _Bounds.read(value, where)
        if bounds.low is None and bounds.high is None:
            raise RequestError(f"{where}: must say low, high or both, such as {{ low = 2 }}; received {value!r}.")
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
