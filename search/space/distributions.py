"""Optuna's distributions: what values they have, and how they are described."""

from __future__ import annotations

from decimal import Decimal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.errors import RequestError


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
                raise RequestError(f"{where}: must be {low} plus a multiple of {step}; received {value!r}.")
            raise RequestError(f"{where}: must be a whole number from {low} to {high}; received {value!r}.")
        case FloatDistribution(low=float(low), high=float(high), step=step):
            if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
                if step is None or divides(step, value - low):
                    return float(value)
                raise RequestError(f"{where}: must be {low:g} plus a multiple of {step:g}; received {value!r}.")
            raise RequestError(f"{where}: must be a number from {low:g} to {high:g}; received {value!r}.")
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
    """Whether a distance is a whole number of steps, up to what floats can't hold (0.3 is three times 0.1)."""
    steps = Decimal(str(distance)) / Decimal(str(step))
    return abs(steps - round(steps)) < Decimal("1e-9")
