"""A row of the table: what was counted in how many simulated studies, and its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A count of simulated studies.

    Attributes:
        case: what was simulated.
        counted: what was counted.
        count: in how many studies.
        studies: how many studies were simulated.
        most: the count may not be above this; None without this bound.
        least: the count may not be below this; None without this bound.
    """

    case: str
    counted: str
    count: int
    studies: int
    most: int | None = None
    least: int | None = None

    @property
    def has_bound(self) -> bool:
        """Whether the count has a bound."""
        return self.most is not None or self.least is not None

    @property
    def is_held(self) -> bool:
        """Whether no bound is broken."""
        below = self.most is None or self.count <= self.most
        return below and (self.least is None or self.count >= self.least)

    def __str__(self) -> str:
        bound = "no bound"
        if self.most is not None:
            bound = f"at most {self.most}"
        elif self.least is not None:
            bound = f"at least {self.least}"
        mark = "BROKEN" if not self.is_held else "held  " if self.has_bound else "      "
        return (
            f"{mark} {self.case}: {self.counted} in {self.count} of {self.studies} studies "
            f"({100 * self.count / self.studies:.1f} %; {bound})"
        )


def most_count(rate: float, studies: int) -> int:
    """Return the largest count that a true rate may give, up to three standard errors."""
    return math.floor(studies * rate + _three_errors(rate, studies))


def least_count(rate: float, studies: int) -> int:
    """Return the smallest count that a true rate may give, up to three standard errors."""
    return math.ceil(studies * rate - _three_errors(rate, studies))


def _three_errors(rate: float, studies: int) -> float:
    return 3 * math.sqrt(studies * rate * (1 - rate))
