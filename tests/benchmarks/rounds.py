"""In what order sides are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_turn(sides: Sequence[T], rounds: int) -> Iterator[T]:
    """Yield every side once a round, each round beginning with another one: what drifts meets all of them alike."""
    for round_number in range(rounds):
        first = round_number % len(sides)
        yield from (*sides[first:], *sides[:first])
