"""What this machine offers to workers."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def cores() -> int:
    """Return the number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the NVIDIA cards that a worker could use, by the names that CUDA_VISIBLE_DEVICES takes.

    Empty unless the CUDA libraries of the `gpu` extra are installed: without them TensorFlow trains on the processor
    whatever cards there are. Asked of the file system, because asking a backend would import it here.
    """
    if importlib.util.find_spec("nvidia") is None or importlib.util.find_spec("nvidia.cudnn") is None:
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    return sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))


def default_workers() -> int:
    """Return one worker a GPU where there are any, else one a core."""
    return len(gpus()) or cores()


def threads_each(workers: int) -> int:
    """Return the threads of each of so many workers, so that together they do not ask for more than the cores."""
    return max(1, cores() // workers)
