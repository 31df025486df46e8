"""A whole space: its parameters in an order in which each comes after those that decide whether it
exists.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field

from assay.models.errors import RequestError
from assay.models.names import suggestion
from assay.models.settings import Settings
from assay.search.space.parameter import (
    Choice,
    Condition,
    Parameter,
    divides,
    read_conditions,
    text_of,
)

Configuration: TypeAlias = Mapping[str, Choice]
"""Values of parameters by name."""


@dataclass(frozen=True)
class Space(Mapping[str, Parameter]):
    """Parameters by name. `ordered` makes one whose conditions have been checked."""

    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @classmethod
    def ordered(cls, parameters: Mapping[str, Parameter]) -> Space:
        """Return a space of these parameters, otherwise in the order given.

        Raises:
            RequestError: conditions go round in a circle, or can never hold. A condition on a name
                that is no parameter is left for `given`.
        """
        ordered: dict[str, Parameter] = {}
        waiting = dict(parameters)
        while waiting:
            ready = [
                name for name in waiting if not any(on.name in waiting for on in waiting[name].when)
            ]
            if not ready:
                raise RequestError(
                    f"[space]: the conditions of {', '.join(waiting)} go round in a circle; remove one."
                )
            ordered[ready[0]] = waiting.pop(ready[0])
        for name, parameter in ordered.items():
            for condition in parameter.when:
                if (
                    condition.name in ordered
                    and ordered[condition.name].fulfilling(condition) is None
                ):
                    raise RequestError(
                        f"[space] {name} when: {condition} never holds, since {condition.name} is "
                        f"{ordered[condition.name]}; mend one of the two."
                    )
        return cls(ordered)

    def given(self, fixed: Mapping[str, Any]) -> Space:
        """Return what is left to search once other names have these values.

        A fixed name is no longer searched; a parameter whose condition on one does not hold is not
        either.

        Raises:
            RequestError: a condition is on a name that is neither searched nor known.
        """
        left: dict[str, Parameter] = {}
        never: set[str] = set(fixed)
        for name, parameter in self.parameters.items():
            for condition in parameter.when:
                if condition.name not in self.parameters and condition.name not in fixed:
                    known = [*self.parameters, *fixed]
                    raise RequestError(
                        f"[space] {name} when: {condition.name!r} is neither searched nor fixed; there is "
                        f"{', '.join(known)}.{suggestion(condition.name, known)}"
                    )
            if name in fixed or not _can_hold(parameter, fixed, never - set(fixed)):
                never.add(name)
                continue
            open_ones = tuple(
                condition for condition in parameter.when if condition.name not in fixed
            )
            left[name] = dataclasses.replace(parameter, when=open_ones)
        space = Space(left)
        for name, parameter in left.items():
            if name not in space.corner(0, space._making_exist(name, {})):
                raise RequestError(
                    f"[space] {name} when: {' and '.join(map(str, parameter.when))} never hold together; mend one."
                )
        return space

    def draw(self, suggest: Callable[[str, BaseDistribution], Any]) -> Configuration:
        """Return a configuration, asking for the value of each parameter that exists beside those
        before it.

        Args:
            suggest: (name, distribution) -> a value as Optuna has it.
        """
        drawn: dict[str, Choice] = {}
        for name, parameter in self.parameters.items():
            if exists(parameter, drawn):
                drawn[name] = parameter.decode(suggest(name, parameter.distribution))
        return drawn

    def decode(self, values: Mapping[str, Any]) -> Configuration:
        """Return what is meant by values as Optuna has them, in the space's order."""
        return {
            name: self.parameters[name].decode(values[name])
            for name in self.parameters
            if name in values
        }

    def encode(self, configuration: Configuration) -> dict[str, bool | int | float | str]:
        """Return a configuration as Optuna has it."""
        return {name: self.parameters[name].encode(value) for name, value in configuration.items()}

    def check(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Return values of some of the parameters as a configuration.

        Raises:
            RequestError: a name that is not searched, a value that it can't have, or a parameter
                that does not exist beside the others; `where` says whose.
        """
        for name in values:
            if name not in self.parameters:
                raise RequestError(
                    f"{where} does not search {name!r}: the space has {', '.join(self.parameters) or 'nothing'}."
                    f"{suggestion(name, self.parameters)}"
                )
        checked = {
            name: self.parameters[name].check(f"{where} {name}", value)
            for name, value in values.items()
        }
        for name in checked:
            for condition in self.parameters[name].when:
                if condition.name not in checked or not condition.holds(checked[condition.name]):
                    found = checked.get(condition.name, "nothing")
                    raise RequestError(
                        f"{where} {name}: exists only when {condition}; received {condition.name} = {found!r}."
                    )
        return checked

    def corners(self) -> Iterator[Configuration]:
        """Yield configurations that show whether the whole space is allowed.

        Each has one extreme of one parameter; all others that exist beside it are at their first,
        or at their last.
        """
        for end in (0, -1):
            yield self.corner(end, {})
            for name, parameter in self.parameters.items():
                for value in parameter.extreme_values():
                    yield self.corner(end, {**self._making_exist(name, {}), name: value})

    def corner(self, end: int, chosen: Configuration) -> Configuration:
        """Return the configuration with the chosen values and all else at its first (0) or last
        (-1) extreme.
        """
        drawn: dict[str, Choice] = {}
        for name, parameter in self.parameters.items():
            if exists(parameter, drawn):
                drawn[name] = chosen[name] if name in chosen else parameter.extreme_values()[end]
        return drawn

    def to_records(self) -> dict[str, str]:
        """Return the space as text by name: what must be equal for two spaces to be the same."""
        return {name: str(self.parameters[name]) for name in sorted(self.parameters)}

    def _making_exist(self, name: str, beside: Configuration) -> Configuration:
        """Return these values with what of other parameters it takes for a parameter to exist."""
        values = dict(beside)
        order = list(self.parameters)
        for condition in sorted(
            self.parameters[name].when, key=lambda condition: order.index(condition.name)
        ):
            parent = condition.name
            if parent in values and condition.holds(values[parent]):
                continue
            fulfilling = self.parameters[parent].fulfilling(condition)
            assert fulfilling is not None, "`ordered` has seen to it"
            values = {**self._making_exist(parent, values), parent: fulfilling}
        return values

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)


def exists(parameter: Parameter, beside: Mapping[str, Any]) -> bool:
    """Return whether a parameter exists beside values of those that come before it."""
    return all(
        condition.name in beside and condition.holds(beside[condition.name])
        for condition in parameter.when
    )


def _can_hold(parameter: Parameter, fixed: Mapping[str, Any], never: set[str]) -> bool:
    return all(
        condition.holds(fixed[condition.name])
        if condition.name in fixed
        else condition.name not in never
        for condition in parameter.when
    )


# Reading a [space] table.


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
    """Read a [space] table: for each name a range `{ low = 16, high = 512, log = true }`, or a list
    of choices.

    Both may carry `when = { optimizer = "momentum" }`: the parameter exists only then. A list with
    a condition is written `{ choices = [...], when = {...} }`.

    Raises:
        RequestError: a range is empty, a logarithm of nothing positive, a list is empty, conditions
            go round in a circle, and the like.
    """
    return Space.ordered(
        {name: _read_parameter(f"[space] {name}", value) for name, value in table.items()}
    )


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
        raise RequestError(
            f"{where}: a list of choices must not be empty; add a value or remove the name."
        )
    for choice in choices:
        if not isinstance(choice, bool | int | float | str | list):
            raise RequestError(
                f"{where}: a choice must be a text, a number, a boolean or a list; received {choice!r}."
            )
    # To Python, and so to Optuna, true is 1 and 1 is 1.0.
    if any(choice in choices[:number] for number, choice in enumerate(choices)):
        raise RequestError(
            f"{where}: each choice may be given once, and 1, 1.0 and true are one; received {choices!r}."
        )
    lists = {text_of(choice): choice for choice in choices if isinstance(choice, list)}
    if any(choice in lists for choice in choices if isinstance(choice, str)):
        raise RequestError(
            f"{where}: a choice must not be the text of another; received {choices!r}."
        )
    encoded = [text_of(choice) if isinstance(choice, list) else choice for choice in choices]
    return Parameter(CategoricalDistribution(encoded), _when(where, given.when), lists)


def _read_range(where: str, given: _Range) -> Parameter:
    low, high, step = given.low, given.high, given.step
    if not (
        _fits(low) and _fits(high) and math.isfinite(high - low) and (step is None or _fits(step))
    ):
        raise RequestError(
            f"{where}: low, high and step must be finite, and whole numbers at most {_LARGEST_WHOLE:,}; received "
            f"{low} and {high}{'' if step is None else f', step {step}'}."
        )
    if low > high:
        raise RequestError(
            f"{where}: low must not be above high; received low = {low}, high = {high}."
        )
    if given.log and low <= 0:
        raise RequestError(f"{where}: a logarithmic range must lie above 0; received low = {low}.")
    if given.log and step is not None:
        raise RequestError(f"{where}: a logarithmic range takes no step; received step = {step}.")
    if step is not None and not divides(step, high - low):
        raise RequestError(
            f"{where}: high must be low plus a multiple of step; received {low} to {high}, step {step}."
        )
    when = _when(where, given.when)
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        return Parameter(
            IntDistribution(low, high, log=given.log, step=1 if step is None else step), when
        )
    step = None if step is None else float(step)
    return Parameter(FloatDistribution(float(low), float(high), log=given.log, step=step), when)


def _fits(number: float) -> bool:
    return abs(number) <= _LARGEST_WHOLE if isinstance(number, int) else math.isfinite(number)


def _when(where: str, table: object) -> tuple[Condition, ...]:
    return () if table is None else read_conditions(table, where)
