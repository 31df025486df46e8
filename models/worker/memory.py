"""The most memory this process held since a moment ago."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"  # proc(5): resets the peak resident size to the present one


class PeakMemory:
    """The largest resident size of this process since it was made: of a trial, not of a worker's
    life.

    Linux keeps count. Elsewhere it is the largest of the sizes met when `look` was called.
    """

    def __init__(self) -> None:
        self._largest_seen_bytes = 0
        self._kept_by_kernel = _forget_peak()
        self.look()

    def look(self) -> None:
        """Take the present size into account."""
        self._largest_seen_bytes = max(self._largest_seen_bytes, psutil.Process().memory_info().rss)

    def bytes(self) -> int:
        """Return the peak in bytes, the libraries that the process has loaded included."""
        self.look()
        kept = (
            re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
            if self._kept_by_kernel
            else None
        )
        return int(kept[1]) * 1024 if kept else self._largest_seen_bytes


def _forget_peak() -> bool:
    """Have the kernel count anew; return whether it can."""
    try:
        _CLEAR.write_text(_FORGET_PEAK)
    except OSError:
        return False
    return True
