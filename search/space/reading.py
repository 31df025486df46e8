"""Reading a [space] table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field

from models.errors import RequestError
from models.settings import Settings
from search.space.condition import Condition, read_conditions
from search.space.distributions import divides
from search.space.parameter import Parameter, text_of
from search.space.space import Space

_LARGEST_WHOLE = 2**53  # Optuna keeps numbers as floats, which tell no larger ones apart


class _Range(Settings):
    """`{ low, high, log, step, when }`: integers when both ends are, else floats."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    when: Any = None


class _Choices(Settings):
    """`{ choices, when }`: what a list alone says, with a condition."""

    choices: list[Any]
    when: Any = None


def read_space(table: Mapping[str, Any]) -> Space:
    """Read a [space] table: for each name a range `{ low = 16, high = 512, log = true }`, or a list of choices.

    Both may carry `when = { optimizer = "momentum" }`: the parameter exists only then. A list with a condition is
    written `{ choices = [...], when = {...} }`.

    Raises:
        RequestError: a range is empty, a logarithm of nothing positive, a list is empty, conditions go round in a
            circle, and the like.
    """
    return Space.ordered({name: _read_parameter(f"[space] {name}", value) for name, value in table.items()})


def _read_parameter(where: str, value: Any) -> Parameter:
    match value:
        case list():
            return _read_choices(where, _Choices(choices=value))
        case {"choices": _}:
            return _read_choices(where, _Choices.read(value, where))
        case dict():
            return _read_range(where, _Range.read(value, where))
        case _:
            raise RequestError(
                f"{where}: must be a list of choices or a range such as {{ low = 1, high = 10 }}; received {value!r}."
            )


def _read_choices(where: str, given: _Choices) -> Parameter:
    choices = given.choices
    if not choices:
        raise RequestError(f"{where}: a list of choices must not be empty; add a value or remove the name.")
    for choice in choices:
        if not isinstance(choice, bool | int | float | str | list):
            raise RequestError(f"{where}: a choice must be a text, a number, a boolean or a list; received {choice!r}.")
    # To Python, and so to Optuna, true is 1 and 1 is 1.0.
    if any(choice in choices[:number] for number, choice in enumerate(choices)):
        raise RequestError(
            f"{where}: each choice may be given once, and 1, 1.0 and true are one; received {choices!r}."
        )
    lists = {text_of(choice): choice for choice in choices if isinstance(choice, list)}
    if any(choice in lists for choice in choices if isinstance(choice, str)):
        raise RequestError(f"{where}: a choice must not be the text of another; received {choices!r}.")
    encoded = [text_of(choice) if isinstance(choice, list) else choice for choice in choices]
    return Parameter(CategoricalDistribution(encoded), _when(where, given.when), lists)


def _read_range(where: str, given: _Range) -> Parameter:
    low, high, step = given.low, given.high, given.step
    if not (_fits(low) and _fits(high) and math.isfinite(high - low) and (step is None or _fits(step))):
        raise RequestError(
            f"{where}: low, high and step must be finite, and whole numbers at most {_LARGEST_WHOLE:,}; received "
            f"{low} and {high}{'' if step is None else f', step {step}'}."
        )
    if low > high:
        raise RequestError(f"{where}: low must not be above high; received low = {low}, high = {high}.")
    if given.log and low <= 0:
        raise RequestError(f"{where}: a logarithmic range must lie above 0; received low = {low}.")
    if given.log and step is not None:
        raise RequestError(f"{where}: a logarithmic range takes no step; received step = {step}.")
    if step is not None and not divides(step, high - low):
        raise RequestError(f"{where}: high must be low plus a multiple of step; received {low} to {high}, step {step}.")
    when = _when(where, given.when)
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return Parameter(IntDistribution(low, high, log=given.log, step=1 if step is None else step), when)
    step = None if step is None else float(step)
    return Parameter(FloatDistribution(float(low), float(high), log=given.log, step=step), when)


def _fits(number: float) -> bool:
    return abs(number) <= _LARGEST_WHOLE if isinstance(number, int) else math.isfinite(number)


def _when(where: str, table: object) -> tuple[Condition, ...]:
    return () if table is None else read_conditions(table, where)
