"""The device that trials train on: what was asked for, and what this machine has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.errors import RequestError
from search.cards import cards, missing_libraries

CPU, GPU = "cpu", "gpu"
_ONE_CARD = re.compile(r"gpu:(\d+)")


def choose_device(asked: str | None, backend: str) -> tuple[str, Sequence[str]]:
    """Return the device, "cpu", "gpu" (all cards) or "gpu:N", and the cards that it is.

    Args:
        asked: one of these; None takes the cards if the backend can use them, else the processor.
        backend: what is to train.

    Raises:
        RequestError: it is none, or this machine does not have it.
    """
    if asked is None:
        found = cards()
        return (CPU, ()) if not found or missing_libraries(backend) is not None else (GPU, found)
    if asked == CPU:
        return CPU, ()
    one = _ONE_CARD.fullmatch(asked)
    if one is None and asked != GPU:
        raise RequestError(f"--device takes cpu, gpu or gpu:N, such as gpu:0; received {asked!r}.")
    found = _usable(asked, backend)
    if one is None:
        return GPU, found
    number = int(one[1])
    if number >= len(found):
        there = ", ".join(f"gpu:{card}" for card in range(len(found)))
        raise RequestError(f"--device: this machine has {there}; received {asked!r}.")
    return f"gpu:{number}", found[number : number + 1]


def _usable(asked: str, backend: str) -> list[str]:
    found = cards()
    if not found:
        raise RequestError(
            f"--device {asked} needs an NVIDIA card: received it where the driver shows none (or CUDA_VISIBLE_DEVICES "
            f"hides it); take --device cpu."
        )
    if (missing := missing_libraries(backend)) is not None:
        raise RequestError(f"--device {asked}: {missing}; or take --device cpu.")
    return found
