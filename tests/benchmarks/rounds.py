"""In what order sides are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternate(sides: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Yield every side once a round, with the round's number from 0, beginning each time with another side.

    What drifts on the machine meanwhile then meets all of them alike.
    """
    for round_number in range(rounds):
        first = round_number % len(sides)
        yield from ((round_number, side) for side in (*sides[first:], *sides[:first]))
