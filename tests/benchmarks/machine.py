"""Description of the machine and of the compared libraries."""

from __future__ import annotations

import contextlib
import datetime
import platform
from importlib import metadata
from pathlib import Path

from assay.search.system.hardware import count_cores

COMPARED = ("tensorflow", "keras", "jax", "optuna", "mlflow", "keras-tuner", "ray")


def machine() -> str:
    """Return the processor, its cores and the month, in words.

    The text does not name the host or the user.
    """
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{count_cores()} cores of {model}, {datetime.date.today():%B %Y}"


def versions() -> dict[str, str]:
    """Return the versions of the compared libraries that are installed."""
    found = {}
    for name in COMPARED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
