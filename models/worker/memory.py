"""Peak memory of a trial."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): resets the peak resident size to the current one


class PeakMemory:
    """The largest resident size of this process, since this object was created.

    On Linux the kernel records it. Elsewhere it is the largest size at the calls of `sample`.
    """

    def __init__(self) -> None:
        self._largest_sample_bytes = 0
        self._kernel_records_peak = _reset_kernel_peak()
        self.sample()

    def sample(self) -> None:
        """Record the current size."""
        resident_bytes = psutil.Process().memory_info().rss
        self._largest_sample_bytes = max(self._largest_sample_bytes, resident_bytes)

    def peak_bytes(self) -> int:
        """Return the peak, including loaded libraries."""
        self.sample()
        if self._kernel_records_peak:
            line = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
            if line is not None:
                return int(line[1]) * 1024
        return self._largest_sample_bytes


def _reset_kernel_peak() -> bool:
    """Reset the kernel's record of the peak; return whether that worked."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True
