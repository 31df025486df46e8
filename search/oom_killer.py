"""The kernel's out-of-memory killer: how often it struck."""

from __future__ import annotations

import re
from pathlib import Path

_COUNTERS = Path("/proc/vmstat")


def kills(counters: Path = _COUNTERS) -> int:
    """Return how many processes of this machine it has killed; 0 where the kernel does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", counters.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 0 if found is None else int(found[1])
