"""Waiting for other processes on a loaded machine."""

from __future__ import annotations

import time
from collections.abc import Callable

GUARD_SECONDS = 300.0
"""Time limit of a wait. It only ends a hanging test; no test is about speed."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; fail after the time limit."""
    end = time.monotonic() + GUARD_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
