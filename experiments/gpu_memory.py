"""How much of its card's memory a worker may take, so that several can share one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.errors import RequestError
from search.cards import memory_megabytes

SHARED_FRACTION = 0.9
"""What workers of a card share out among them; the rest is for what each takes beside its arrays: CUDA's context and
kernels, some hundred MB."""


@dataclass(frozen=True)
class GpuMemory:
    """What a worker may take of its card: a fraction, and the same in MB as far as the card's size is known.

    Both None: as much as it comes to need.
    """

    fraction: float | None = None
    megabytes: int | None = None

    def __str__(self) -> str:
        if self.fraction is None and self.megabytes is None:
            return "as needed"
        parts = (
            None if self.megabytes is None else f"{self.megabytes} MB",
            None if self.fraction is None else f"{self.fraction:.3g} of the card",
        )
        return ", ".join(part for part in parts if part is not None)


def share_memory(
    asked: float | None,
    backend: str,
    cards: Sequence[str],
    workers: int,
    card_megabytes: Callable[[Sequence[str]], int | None] = memory_megabytes,
) -> GpuMemory:
    """Return what each worker may take of its card.

    Unasked, one worker a card takes what it comes to need, and several share 0.9 of it equally. JAX has a limit in
    any case, 0.75 unless it is told: here 0.9.

    Args:
        asked: a fraction of the card up to 1, MB above that, or None.
        backend: what trains.
        cards: those in use; workers go to them in turn.
        workers: all of them together.
        card_megabytes: tells the memory of the smallest of some cards, None if it can't.

    Raises:
        RequestError: the workers of a card would take more than it has, or what is asked can't be had.
    """
    each = -(-workers // len(cards))
    if asked is None:
        return _unasked(backend, cards, each, card_megabytes)
    if backend == "torch":
        raise RequestError(
            f"--gpu-memory is for tensorflow and jax: received {asked:g} with --backend torch; remove it."
        )
    total = card_megabytes(cards)
    fraction = asked if asked <= 1 else None if total is None else asked / total
    if fraction is not None and fraction * each > 1:
        size = "" if total is None else f" of {total} MB"
        raise RequestError(
            f"--gpu-memory: the workers of a card{size} may take all of it together: received {asked:g} for each of "
            f"{each}; take {1 / each:.2g} or less, or fewer --workers."
        )
    megabytes = int(asked) if asked > 1 else None if total is None else int(asked * total)
    if (megabytes is None and backend == "tensorflow") or (fraction is None and backend == "jax"):
        other = "MB, such as 4096" if asked <= 1 else "a fraction, such as 0.4"
        raise RequestError(
            f"--gpu-memory: nvidia-smi does not tell how much the card has: received {asked:g}; give {other}."
        )
    return GpuMemory(fraction, megabytes)


def _unasked(
    backend: str, cards: Sequence[str], each: int, card_megabytes: Callable[[Sequence[str]], int | None]
) -> GpuMemory:
    if backend == "jax":
        return GpuMemory(SHARED_FRACTION / each)
    if backend == "torch" or each == 1 or (total := card_megabytes(cards)) is None:
        return GpuMemory()
    return GpuMemory(SHARED_FRACTION / each, int(SHARED_FRACTION / each * total))
