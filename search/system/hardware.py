"""Processor cores, memory, NVIDIA GPUs, and the kernel's out-of-memory killer.

A backend could tell more about GPUs, but asking it would import it into the supervisor: the file
system and the driver's own tool are asked instead.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import itertools
import os
import re
import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_DEVICES = Path("/dev")
_NVIDIA_SMI_TIMEOUT_SECONDS = 20.0  # a driver that was idle for a while takes seconds to answer
_JAX_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")
_KERNEL_COUNTERS = Path("/proc/vmstat")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_worker(workers: int) -> int:
    """Return the number of threads of each worker.

    Together the workers use no more than all cores.
    """
    return max(1, count_cores() // workers)


def available_memory_bytes(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int:
    """Return how many bytes of memory this process could use now, swap included.

    It is the least of what the machine has available, what the limits of its control groups leave
    (those of a container or of Slurm, for example), and what the limit of its address space leaves.

    Args:
        cgroups: the folder in which control groups are mounted.
        own: the file that lists the control groups of this process.
    """
    import psutil  # here, because commands that prepare no data need not import it

    swap = int(psutil.swap_memory().free)
    available = [int(psutil.virtual_memory().available) + swap]
    available += _cgroup_rooms(cgroups, own, swap)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        available.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(available))


def _cgroup_rooms(cgroups: Path, own: Path, swap: int) -> Iterator[int]:
    """Yield the memory that each limit of a control group leaves, in bytes.

    Args:
        cgroups: the folder in which control groups are mounted.
        own: the file that lists the control groups of this process.
        swap: free swap of the machine, in bytes; a group may use less of it.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            version_2 = True
            root = cgroups
        elif "memory" in controllers.split(","):
            version_2 = False
            root = cgroups / "memory"
        else:
            continue
        folder = root / path.lstrip("/")
        # The limits of the groups above count too. In a container the path may be that of the
        # host, of which only the root is there.
        for group in (folder, *folder.parents):
            with suppress(OSError, ValueError):
                yield _cgroup_room(group, version_2) + _cgroup_swap(group, version_2, swap)
            if group == root:
                break


def _cgroup_room(group: Path, version_2: bool) -> int:
    """Return the memory that the limit of a control group leaves, in bytes.

    Raises:
        OSError: it has no limit.
        ValueError: likewise; the limit is the text "max".
    """
    limit_name, usage_name, cache_name = (
        ("memory.max", "memory.current", "inactive_file")
        if version_2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    limit = int((group / limit_name).read_text())
    usage = int((group / usage_name).read_text())
    # Cached files are counted as used, and are given up when memory is needed.
    cached = re.search(rf"^{cache_name} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    return limit - usage + (0 if cached is None else int(cached[1]))


def _cgroup_swap(group: Path, version_2: bool, swap: int) -> int:
    """Return how much of the free swap a control group may use, in bytes."""
    # Those of version 1 are of memory and swap together.
    limit_name, usage_name = (
        ("memory.swap.max", "memory.swap.current")
        if version_2
        else ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes")
    )
    with suppress(OSError, ValueError):  # no limit, or the text "max"
        limit, used = (int((group / name).read_text()) for name in (limit_name, usage_name))
        return max(0, min(swap, limit - used))
    return swap


def list_gpus(devices: Path = _DEVICES) -> list[str]:
    """Return the GPUs that workers may use, by the names that CUDA_VISIBLE_DEVICES takes.

    Without that variable they are numbered from 0, as CUDA does: in a container that has
    /dev/nvidia3 alone, its GPU is "0".

    Args:
        devices: the folder in which the driver has a file for each GPU.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA itself ignores everything behind a name that is no GPU's.
        names = (name.strip() for name in visible.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    return [str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*"))]


def missing_gpu_libraries(backend: str) -> str | None:
    """Return what a backend lacks to train on a GPU; None if nothing."""
    match backend:
        case "tensorflow" if not (
            _is_installed("nvidia", "cudnn") or ctypes.util.find_library("cudnn")
        ):
            return (
                "TensorFlow's CUDA libraries are not installed: make sweep EXTRAS=gpu, "
                "or pip install '.[gpu]'"
            )
        case "jax" if not any(map(_is_installed, _JAX_PLUGINS)):
            return "JAX's CUDA plugin is not installed: pip install 'jax[cuda12]'"
        case "torch" if not _torch_has_cuda():
            return (
                "this torch was built without CUDA: install one that was built with it, "
                "as pytorch.org says"
            )
        case _:
            return None


def smallest_gpu_memory_megabytes(names: Sequence[str]) -> int | None:
    """Return the memory of the smallest of these GPUs, in MiB; None if it is unknown.

    Args:
        names: indices, or UUIDs or beginnings of them, as CUDA_VISIBLE_DEVICES takes them.
    """
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        table = subprocess.run(
            query, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found: list[int] = []
    for line in table.splitlines():
        index, uuid, megabytes = (part.strip() for part in line.split(","))
        if any(name == index or (not name.isdigit() and uuid.startswith(name)) for name in names):
            if not megabytes.isdigit():  # "[N/A]": a GPU that shares the processor's memory
                return None
            found.append(int(megabytes))
    return min(found) if len(found) == len(names) else None


def count_oom_kills(counters: Path = _KERNEL_COUNTERS) -> int:
    """Return how many processes the kernel has killed for want of memory since the boot.

    Args:
        counters: the kernel's counters; 0 is returned where there are none.
    """
    try:
        found = re.search(r"^oom_kill (\d+)$", counters.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 0 if found is None else int(found[1])


def _is_installed(package: str, folder: str = "") -> bool:
    """Return whether a package is installed, with this folder in it; nothing is imported."""
    spec = importlib.util.find_spec(package)
    return spec is not None and any(
        (Path(location) / folder).is_dir() for location in spec.submodule_search_locations or ()
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
