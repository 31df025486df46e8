"""Order in which sides are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternate(sides: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Yield the round's number, from 0, and each side, once per round.

    Each round begins with another side, so that a drift of the machine affects all sides alike.
    """
    for round_number in range(rounds):
        first = round_number % len(sides)
        yield from ((round_number, side) for side in (*sides[first:], *sides[:first]))
