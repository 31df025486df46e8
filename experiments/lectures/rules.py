"""Measured numbers, and the rules by which a claim is judged.

A rule is written before the experiment is run. It names measured numbers and what they must be:

    Rule(
        claim="a network of linear units does no better than softmax regression",
        place="Fraida Fund, 'Networks of linear units'",
        conditions=(Condition("linear units minus softmax regression", at_most=0.005),),
        reason="half a point: a gain below it does not pay for a layer",
    )

A number with an interval meets a condition if all of its interval does, and misses it if nothing of
its interval does. In between nothing is known. A rule holds if all conditions are met, does not
hold here if all are missed, and depends in every other case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["holds", "does not hold here", "depends"]


@dataclass(frozen=True)
class Number:
    """A measured number.

    Attributes:
        value: the number; of several seeds, their mean.
        low: lower end of its 95 % interval; None for a number that is exact or has none.
        high: upper end; None likewise.
        seeds: number of seeds; None for a number that has none.
        unit: such as "s"; empty for a share, a count or a ratio.
    """

    value: float
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    unit: str = ""

    def to_record(self) -> dict[str, float | int | str | None]:
        """Return the number as JSON takes it: NumPy's types have no place there."""
        ends = (self.value, self.low, self.high)
        value, low, high = (None if end is None else float(end) for end in ends)
        return {"value": value, "low": low, "high": high, "seeds": self.seeds, "unit": self.unit}


Numbers: TypeAlias = Mapping[str, Number]


@dataclass(frozen=True)
class Condition:
    """What a number must be, ends included.

    Attributes:
        number: name of the number.
        at_least: smallest value that it may have; None for no such end.
        at_most: largest value; None likewise.
    """

    number: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, numbers: Numbers) -> bool | None:
        """Return whether a condition is met; None if its interval does not tell.

        Raises:
            KeyError: the number was not measured.
        """
        number = numbers[self.number]
        low = number.value if number.low is None else number.low
        high = number.value if number.high is None else number.high
        floor = float("-inf") if self.at_least is None else self.at_least
        ceiling = float("inf") if self.at_most is None else self.at_most
        if floor <= low and high <= ceiling:
            return True
        return False if high < floor or low > ceiling else None

    def describe(self) -> str:
        """Return the condition in words.

        Example:
            >>> Condition("test accuracy", at_least=0.97).describe()
            'test accuracy at least 0.97'
        """
        ends = [
            f"{word} {end:.6g}"
            for word, end in (("at least", self.at_least), ("at most", self.at_most))
            if end is not None
        ]
        return f"{self.number} {' and '.join(ends)}"


@dataclass(frozen=True)
class Rule:
    """A claim, and how it is judged.

    Attributes:
        claim: the claim in one sentence, without a full stop.
        place: lecture and slide that claim it.
        conditions: what must be measured for it to hold.
        reason: where the thresholds come from.
    """

    claim: str
    place: str
    conditions: Sequence[Condition]
    reason: str

    def judge(self, numbers: Numbers) -> Verdict:
        """Return the verdict.

        Raises:
            KeyError: a number was not measured.
        """
        met = {condition.is_met(numbers) for condition in self.conditions}
        if met == {True}:
            return "holds"
        return "does not hold here" if met == {False} else "depends"


def format_value(number: Number) -> str:
    """Return a number without its interval.

    Example:
        >>> format_value(Number(0.97312, unit="s"))
        '0.973 s'
    """
    value = number.value
    is_count = float(value).is_integer() and abs(value) < 1e15
    text = f"{int(value):,}" if is_count else f"{value:.4g}"
    return f"{text} {number.unit}".rstrip()


def format_number(number: Number) -> str:
    """Return a number with its interval, such as "0.973 [0.971 to 0.975]"."""
    ends = format_ends(number)
    return f"{format_value(number)} [{ends}]" if ends else format_value(number)


def format_ends(number: Number) -> str:
    """Return the interval of a number, such as "0.971 to 0.975"; empty without one."""
    if number.low is None or number.high is None:
        return ""
    return f"{number.low:.4g} to {number.high:.4g}"
