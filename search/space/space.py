"""Space: the parameters that are searched, each behind those that its conditions name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

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
    MOST_CHOICES,
    Choice,
    Condition,
    Parameter,
    divides,
    encode_list,
    read_conditions,
)

Configuration: TypeAlias = Mapping[str, Choice]
"""Values of the active parameters by name."""

ValueKind: TypeAlias = Literal["real", "integer", "other"]
"""What a setting is: a real number, a whole number, or neither, such as a text or a boolean."""


@dataclass(frozen=True)
class Space(Mapping[str, Parameter]):
    """Parameters by name; `ordered` makes a space and checks its conditions.

    Example:
        >>> space = read_space({"units": {"low": 16, "high": 512}, "activation": ["relu", "tanh"]})
        >>> space.corner(0, {})
        {'units': 16, 'activation': 'relu'}
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @classmethod
    def ordered(cls, parameters: Mapping[str, Parameter]) -> Space:
        """Return a space in which each parameter is behind those that its conditions name.

        Otherwise the order stays as it is. A condition on a name that is no parameter is left for
        `fix` to check.

        Raises:
            RequestError: conditions go round in a circle, or can never hold.
        """
        ordered: dict[str, Parameter] = {}
        waiting = dict(parameters)
        while waiting:
            ready = [
                name
                for name in waiting
                if not any(condition.name in waiting for condition in waiting[name].when)
            ]
            if not ready:
                raise RequestError(
                    f"[space]: the conditions of {', '.join(waiting)} go round in a circle; "
                    "remove one."
                )
            ordered[ready[0]] = waiting.pop(ready[0])
        for name, parameter in ordered.items():
            for condition in parameter.when:
                _check_condition(name, condition, ordered)
        return cls(ordered)

    def fix(self, fixed: Mapping[str, Any]) -> Space:
        """Return the space that is left to search if some hyperparameters are fixed.

        A fixed parameter is not searched. Nor is one with a condition on a fixed value that does
        not hold.

        Args:
            fixed: fixed values by name, also of hyperparameters that the space does not have.

        Raises:
            RequestError: a condition is on a name that is neither searched nor fixed, or conditions
                never hold together.
        """
        remaining: dict[str, Parameter] = {}
        excluded: set[str] = set(fixed)
        for name, parameter in self.parameters.items():
            for condition in parameter.when:
                if condition.name not in self.parameters and condition.name not in fixed:
                    known = [*self.parameters, *fixed]
                    raise RequestError(
                        f"[space] {name} when: {condition.name!r} is neither searched nor fixed; "
                        f"there is {', '.join(known)}.{suggestion(condition.name, known)}"
                    )
            if name in fixed or not _can_be_active(parameter, fixed, excluded - set(fixed)):
                excluded.add(name)
                continue
            undecided = tuple(
                condition for condition in parameter.when if condition.name not in fixed
            )
            remaining[name] = dataclasses.replace(parameter, when=undecided)
        space = Space(remaining)
        for name, parameter in remaining.items():
            # Each condition can hold, as `ordered` has checked; try whether all of them do.
            if name not in space.corner(0, space._activating_values(name, {})):
                conditions = " and ".join(map(str, parameter.when))
                raise RequestError(
                    f"[space] {name} when: {conditions} never hold together; change one."
                )
        return space

    def draw(self, suggest: Callable[[str, BaseDistribution], Any]) -> Configuration:
        """Return a configuration with a suggested value for each active parameter.

        Args:
            suggest: (name, distribution) -> a value as Optuna has it.
        """
        drawn: dict[str, Choice] = {}
        for name, parameter in self.parameters.items():
            if is_active(parameter, drawn):
                drawn[name] = parameter.decode(suggest(name, parameter.distribution))
        return drawn

    def decode(self, values: Mapping[str, Any]) -> Configuration:
        """Return the configuration of Optuna's values, in the space's order."""
        return {
            name: self.parameters[name].decode(values[name])
            for name in self.parameters
            if name in values
        }

    def encode(self, configuration: Configuration) -> dict[str, bool | int | float | str]:
        """Return a configuration as Optuna has it."""
        return {name: self.parameters[name].encode(value) for name, value in configuration.items()}

    def check(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Check values of some parameters, and return them as a configuration.

        Args:
            values: the values by name.
            where: the beginning of messages.

        Raises:
            RequestError: a name is not searched, a parameter cannot have its value, or is not
                active beside the others.
        """
        for name in values:
            if name not in self.parameters:
                names = ", ".join(self.parameters) or "nothing"
                raise RequestError(
                    f"{where} does not search {name!r}: the space has {names}."
                    f"{suggestion(name, self.parameters)}"
                )
        checked = {
            name: self.parameters[name].check(f"{where} {name}", value)
            for name, value in values.items()
        }
        for name in checked:
            for condition in self.parameters[name].when:
                if condition.name not in checked or not condition.holds(checked[condition.name]):
                    received = checked.get(condition.name, "nothing")
                    raise RequestError(
                        f"{where} {name}: exists only when {condition}; "
                        f"received {condition.name} = {received!r}."
                    )
        return checked

    def corners(self) -> Iterator[Configuration]:
        """Yield configurations that show whether the whole space is allowed.

        Each has one extreme value of one parameter; the others are at their first, or at their
        last.
        """
        for end in (0, -1):
            yield self.corner(end, {})
            for name, parameter in self.parameters.items():
                for value in parameter.extreme_values():
                    yield self.corner(end, {**self._activating_values(name, {}), name: value})

    def corner(self, end: int, chosen: Configuration) -> Configuration:
        """Return a configuration of extreme values.

        Args:
            end: 0 for the first extreme value of each parameter, -1 for the last.
            chosen: values that some parameters have instead.
        """
        configuration: dict[str, Choice] = {}
        for name, parameter in self.parameters.items():
            if is_active(parameter, configuration):
                configuration[name] = (
                    chosen[name] if name in chosen else parameter.extreme_value(end)
                )
        return configuration

    def to_records(self) -> dict[str, str]:
        """Return each parameter as text: spaces with equal texts are equal."""
        return {name: str(self.parameters[name]) for name in sorted(self.parameters)}

    def _activating_values(self, name: str, chosen: Configuration) -> Configuration:
        """Return chosen values, and what other parameters need for a parameter to be active."""
        values = dict(chosen)
        order = list(self.parameters)
        for condition in sorted(
            self.parameters[name].when, key=lambda condition: order.index(condition.name)
        ):
            parent = condition.name
            if parent in values and condition.holds(values[parent]):
                continue
            value = self.parameters[parent].value_fulfilling(condition)
            assert value is not None, "`ordered` has checked it"
            # The parent may have conditions too.
            values = {**self._activating_values(parent, values), parent: value}
        return values

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)


def is_active(parameter: Parameter, configuration: Mapping[str, Any]) -> bool:
    """Return whether a parameter is active beside the values of those before it."""
    return all(
        condition.name in configuration and condition.holds(configuration[condition.name])
        for condition in parameter.when
    )


def _can_be_active(parameter: Parameter, fixed: Mapping[str, Any], excluded: set[str]) -> bool:
    return all(
        condition.holds(fixed[condition.name])
        if condition.name in fixed
        else condition.name not in excluded
        for condition in parameter.when
    )


def _check_condition(name: str, condition: Condition, parameters: Mapping[str, Parameter]) -> None:
    """Check that a condition of a parameter can hold.

    Raises:
        RequestError: it cannot.
    """
    parent = parameters.get(condition.name)
    if parent is not None and parent.value_fulfilling(condition) is None:
        raise RequestError(
            f"[space] {name} when: {condition} never holds, since {condition.name} is {parent}; "
            "change one of the two."
        )


MOST_PARAMETERS = 200
"""Most parameters of a space."""

_MAX_WHOLE_NUMBER = 2**53  # Optuna stores numbers as floats, which cannot tell larger ones apart


class _Range(Settings):
    """`{ low, high, log, step, when }`."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    when: Any = None


class _Choices(Settings):
    """`{ choices, when }`: a list of choices with a condition."""

    choices: list[Any]
    when: Any = None


def read_space(
    table: Mapping[str, Any], kinds: Mapping[str, ValueKind] = MappingProxyType({})
) -> Space:
    """Read a [space] table.

    Args:
        table: for each name a range such as `{ low = 16, high = 512, log = true }`, or a list of
            choices. With `when = { optimizer = "momentum" }` a range is active only then; a list
            with a condition is written `{ choices = [...], when = {...} }`.
        kinds: what settings are, by name. A range of real numbers holds reals however its bounds
            are written. Ranges of other names hold integers if low, high and step are integers,
            else floats.

    Raises:
        RequestError: a range or a list is empty, a list is too long, a logarithmic range is not
            positive, conditions go round in a circle, a range is not one for its setting, and the
            like.

    Example:
        >>> read_space({"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}).to_records()
        {'learning_rate': '0.0001 to 0.1, log'}
    """
    if len(table) > MOST_PARAMETERS:
        raise RequestError(
            f"[space] takes at most {MOST_PARAMETERS:,} names; received {len(table):,}: fix the "
            "others under [model] or [train]."
        )
    return Space.ordered(
        {
            name: _read_parameter(f"[space] {name}", value, kinds.get(name))
            for name, value in table.items()
        }
    )


def _read_parameter(where: str, value: Any, kind: ValueKind | None) -> Parameter:
    match value:
        case list():
            return _read_choices(where, _Choices(choices=value))
        case {"choices": _}:
            return _read_choices(where, _Choices.read(value, where))
        case dict():
            return _read_range(where, _Range.read(value, where), kind)
        case _:
            raise RequestError(
                f"{where}: must be a list of choices or a range such as "
                f"{{ low = 1, high = 10 }}; received {value!r}."
            )


def _read_choices(where: str, table: _Choices) -> Parameter:
    choices = table.choices
    if not choices:
        raise RequestError(
            f"{where}: a list of choices must not be empty; add a value or remove the name."
        )
    # Counted first: every choice is compared with the others, and tried with both ends of ranges.
    if len(choices) > MOST_CHOICES:
        raise RequestError(
            f"{where}: takes at most {MOST_CHOICES:,} choices; received {len(choices):,}: remove "
            "some, or write a range such as { low = 1, high = 10 }."
        )
    for choice in choices:
        if isinstance(choice, list) and len(choice) > MOST_CHOICES:
            raise RequestError(
                f"{where}: a choice that is a list takes at most {MOST_CHOICES:,} values; "
                f"received {len(choice):,}: shorten it."
            )
        if not isinstance(choice, bool | int | float | str | list):
            raise RequestError(
                f"{where}: a choice must be a text, a number, a boolean or a list; "
                f"received {choice!r}."
            )
    # In Python, and so in Optuna, true equals 1 and 1 equals 1.0.
    if any(choice in choices[:index] for index, choice in enumerate(choices)):
        raise RequestError(
            f"{where}: each choice may be given once, and 1, 1.0 and true are one; "
            f"received {choices!r}."
        )
    lists = {encode_list(choice): choice for choice in choices if isinstance(choice, list)}
    if any(choice in lists for choice in choices if isinstance(choice, str)):
        raise RequestError(
            f"{where}: a choice must not be the text of another; received {choices!r}."
        )
    encoded = [encode_list(choice) if isinstance(choice, list) else choice for choice in choices]
    return Parameter(CategoricalDistribution(encoded), _read_when(where, table.when), lists)


def _read_range(where: str, table: _Range, kind: ValueKind | None) -> Parameter:
    low, high, step = table.low, table.high, table.step
    _check_range(where, table)
    _check_range_kind(where, table, kind)
    when = _read_when(where, table.when)
    is_whole = not any(isinstance(number, float) for number in (low, high, step))
    if kind == "real" or not is_whole:
        return Parameter(
            FloatDistribution(
                float(low), float(high), log=table.log, step=None if step is None else float(step)
            ),
            when,
        )
    return Parameter(
        IntDistribution(int(low), int(high), log=table.log, step=1 if step is None else int(step)),
        when,
        has_step=step is not None,
    )


def _check_range_kind(where: str, table: _Range, kind: ValueKind | None) -> None:
    """Check that a setting of this kind can have a range with these bounds."""
    bounds = {"low": table.low, "high": table.high, "step": table.step}
    received = ", ".join(f"{name} = {value}" for name, value in bounds.items() if value is not None)
    if kind == "other":
        raise RequestError(
            f"{where}: is not a number, so it has no range; received {received}: list its values, "
            "such as [false, true] or ['relu', 'tanh']."
        )
    if kind == "integer" and any(isinstance(value, float) for value in bounds.values()):
        raise RequestError(
            f"{where}: is a whole number, so low, high and step must be whole numbers; "
            f"received {received}: write them without a decimal point or an exponent."
        )


def _check_range(where: str, table: _Range) -> None:
    low, high, step = table.low, table.high, table.step
    if not (
        _is_representable(low)
        and _is_representable(high)
        and math.isfinite(high - low)
        and (step is None or _is_representable(step))
    ):
        raise RequestError(
            f"{where}: low, high and step must be finite, and whole numbers at most "
            f"{_MAX_WHOLE_NUMBER:,}; received {low} and {high}"
            f"{'' if step is None else f', step {step}'}."
        )
    if low > high:
        raise RequestError(
            f"{where}: low must not be above high; received low = {low}, high = {high}."
        )
    if table.log and low <= 0:
        raise RequestError(f"{where}: a logarithmic range must lie above 0; received low = {low}.")
    if table.log and step is not None:
        raise RequestError(f"{where}: a logarithmic range takes no step; received step = {step}.")
    # As many as floats can tell apart; Decimal, which counts them, has a limit too.
    if step is not None and (high - low) / step > _MAX_WHOLE_NUMBER:
        raise RequestError(
            f"{where}: takes at most {_MAX_WHOLE_NUMBER:,} steps; received {low} to {high}, step "
            f"{step}: give it a larger step."
        )
    if step is not None and not divides(step, high - low):
        raise RequestError(
            f"{where}: high must be low plus a multiple of step; received {low} to {high}, "
            f"step {step}."
        )


def _is_representable(number: float) -> bool:
    if isinstance(number, int):
        return abs(number) <= _MAX_WHOLE_NUMBER
    return math.isfinite(number)


def _read_when(where: str, table: object) -> tuple[Condition, ...]:
    return () if table is None else read_conditions(table, where)
