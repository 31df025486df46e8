"""What this machine offers to workers, beside its cards."""

from __future__ import annotations

import ctypes.util
import importlib.util
import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path


def cores() -> int:
    """Return the number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """Return the threads of each of so many workers, so that together they do not ask for more than
    the cores.
    """
    return max(1, cores() // workers)


# The NVIDIA cards of this machine, and what a backend needs to train on them.
#
# Asked of the file system and of the driver's own tool, because asking a backend would import it
# here.


_DEVICES = Path("/dev")
_PATIENCE_SECONDS = 20.0  # a driver that nobody has used for a while takes seconds to answer
_JAX_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")


def gpus(devices: Path = _DEVICES) -> list[str]:
    """Return the cards that workers may use, by the names that CUDA_VISIBLE_DEVICES takes.

    Without that variable they are numbered from 0, as CUDA does: in a container that is lent
    /dev/nvidia3 alone, that is 0.

    Args:
        devices: where the driver puts a file for each card.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA itself reads no further than a name that is no card's.
        names = (name.strip() for name in visible.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    return [str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*"))]


def missing_libraries(backend: str) -> str | None:
    """Return what a backend lacks to train on a card, and how to install it; None if it lacks
    nothing.
    """
    match backend:
        case "tensorflow" if not (
            _is_installed("nvidia", "cudnn") or ctypes.util.find_library("cudnn")
        ):
            return "TensorFlow's CUDA libraries are not installed: make sweep EXTRAS=gpu, or pip install '.[gpu]'"
        case "jax" if not any(map(_is_installed, _JAX_PLUGINS)):
            return "JAX's CUDA plugin is not installed: pip install 'jax[cuda12]'"
        case "torch" if not _torch_has_cuda():
            return "this torch was built without CUDA: install one that was, as pytorch.org says"
        case _:
            return None


def smallest_gpu_memory_megabytes(names: Sequence[str]) -> int | None:
    """Return the memory of the smallest of these cards, in MiB, as the driver's own tool tells it;
    None if it can't.

    Args:
        names: indices or UUIDs (or what one begins with), as CUDA_VISIBLE_DEVICES takes them.
    """
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            query, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found: list[int] = []
    for line in told.splitlines():
        index, uuid, total = (part.strip() for part in line.split(","))
        if any(name == index or (not name.isdigit() and uuid.startswith(name)) for name in names):
            if not total.isdigit():  # a card that shares the processor's memory has none to tell
                return None
            found.append(int(total))
    return min(found) if len(found) == len(names) else None


def _is_installed(package: str, part: str = "") -> bool:
    """Return whether a package is there, with a folder of that name in it; nothing is imported."""
    spec = importlib.util.find_spec(package)
    return spec is not None and any(
        (Path(place) / part).is_dir() for place in spec.submodule_search_locations or ()
    )


def _torch_has_cuda() -> bool:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).with_name("version.py")
    return (
        version.exists()
        and re.search(r"^cuda\b.*=\s*['\"]", version.read_text(), re.MULTILINE) is not None
    )


# The kernel's out-of-memory killer: how often it struck.


_COUNTERS = Path("/proc/vmstat")


def kills(counters: Path = _COUNTERS) -> int:
    """Return how many processes of this machine it has killed; 0 where the kernel does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", counters.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 0 if found is None else int(found[1])
