"""What this machine offers to workers, beside its cards."""

from __future__ import annotations

import os


def cores() -> int:
    """Return the number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """Return the threads of each of so many workers, so that together they do not ask for more than the cores."""
    return max(1, cores() // workers)
