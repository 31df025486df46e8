"""Wait for what another process does, however long it takes on a loaded machine."""

from __future__ import annotations

import time
from collections.abc import Callable

GUARD_SECONDS = 300.0
"""How long something may take before it counts as never happening; no test is about speed."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fail the test if it never does."""
    end = time.monotonic() + GUARD_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
