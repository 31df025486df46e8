"""The space that is searched: Optuna's own distributions, read from a table and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field

from models.errors import RequestError
from models.settings import Settings

Choice = bool | int | float | str
Space = Mapping[str, BaseDistribution]


class _Range(Settings):
    """`{ low, high, log, step }`: integers when both ends are, else floats."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)


def read_space(table: Mapping[str, Any]) -> Space:
    """Read a [space] table: a range `{ low = 16, high = 512, log = true }` or a list of choices for each name.

    Raises:
        RequestError: a range is empty, a logarithm of nothing positive, a list is empty, and the like.
    """
    return {name: _read_parameter(f"[space] {name}", value) for name, value in table.items()}


def extremes(distribution: BaseDistribution) -> list[Choice]:
    """Return the values that show whether a whole distribution is allowed: all choices, or both ends of a range."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return [choice for choice in choices if choice is not None]
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return [low, high]
        case _:
            raise TypeError(f"not a distribution of a space: {distribution}")


def check_value(where: str, distribution: BaseDistribution, value: object) -> Choice:
    """Return `value` as the distribution holds it.

    Raises:
        RequestError: it lies outside.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            for choice in choices:
                if choice == value and isinstance(choice, bool) == isinstance(value, bool) and choice is not None:
                    return choice
            raise RequestError(f"{where}: must be one of {_listed(choices)}; received {value!r}.")
        case IntDistribution(low=low, high=high, step=step):
            if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
                if (value - low) % step == 0:
                    return value
                raise RequestError(f"{where}: must be {low} plus a multiple of {step}; received {value!r}.")
            raise RequestError(f"{where}: must be a whole number from {low} to {high}; received {value!r}.")
        case FloatDistribution(low=float(low), high=float(high), step=step):
            if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
                if step is None or _divides(step, value - low):
                    return float(value)
                raise RequestError(f"{where}: must be {low:g} plus a multiple of {step:g}; received {value!r}.")
            raise RequestError(f"{where}: must be a number from {low:g} to {high:g}; received {value!r}.")
        case _:
            raise TypeError(f"not a distribution of a space: {distribution}")


def to_records(space: Space) -> dict[str, str]:
    """Return the space as text by name: what must be equal for two spaces to be the same."""
    return {name: describe(space[name]) for name in sorted(space)}


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


def _read_parameter(where: str, value: object) -> BaseDistribution:
    match value:
        case list():
            return _read_choices(where, value)
        case dict():
            return _read_range(where, _Range.read(value, where))
        case _:
            raise RequestError(
                f"{where}: must be a list of choices or a range such as {{ low = 1, high = 10 }}; received {value!r}."
            )


def _read_choices(where: str, choices: list[Any]) -> CategoricalDistribution:
    if not choices:
        raise RequestError(f"{where}: a list of choices must not be empty; add a value or remove the name.")
    for choice in choices:
        if not isinstance(choice, Choice):
            raise RequestError(f"{where}: a choice must be a text, a number or a boolean; received {choice!r}.")
    if len({(type(choice), choice) for choice in choices}) < len(choices):
        raise RequestError(f"{where}: each choice may be given once; received {choices!r}.")
    return CategoricalDistribution(choices)


def _read_range(where: str, given: _Range) -> IntDistribution | FloatDistribution:
    low, high, step = given.low, given.high, given.step
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RequestError(f"{where}: low and high must be finite; received {low} and {high}.")
    if low > high:
        raise RequestError(f"{where}: low must not be above high; received low = {low}, high = {high}.")
    if given.log and low <= 0:
        raise RequestError(f"{where}: a logarithmic range must lie above 0; received low = {low}.")
    if given.log and step is not None:
        raise RequestError(f"{where}: a logarithmic range takes no step; received step = {step}.")
    if step is not None and not _divides(step, high - low):
        raise RequestError(f"{where}: high must be low plus a multiple of step; received {low} to {high}, step {step}.")
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return IntDistribution(low, high, log=given.log, step=1 if step is None else step)
    return FloatDistribution(float(low), float(high), log=given.log, step=None if step is None else float(step))


def _divides(step: float, distance: float) -> bool:
    """Whether a distance is a whole number of steps, up to what floats can't hold (0.3 is three times 0.1)."""
    steps = Decimal(str(distance)) / Decimal(str(step))
    return abs(steps - round(steps)) < Decimal("1e-9")


def _listed(choices: object) -> str:
    assert isinstance(choices, tuple)
    return ", ".join(str(choice) for choice in choices)
