"""What a process that trains on JAX must have in its environment before JAX is imported there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def jax_environment(threads: int) -> dict[str, str]:
    """Return environment variables, by name, of a process that computes with so many threads.

    What the user has set of these stays as it is. Nothing of it changes a result.
    """
    wanted = {
        # The size of XLA's pool on the processor. Its own flags (--xla_cpu_multi_thread_eigen=false,
        # intra_op_parallelism_threads=1) leave the pool as it is: an epoch took 15 % to 30 % more of the processor.
        "PJRT_NPROC": str(threads),
        # What was compiled once, in whatever process, is loaded: a tenth of the time, for small programs too.
        "JAX_COMPILATION_CACHE_DIR": str(_cache(os.environ) / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # A user's mistake is told by the last line of its traceback, which must be the mistake.
        "JAX_TRACEBACK_FILTERING": "off",
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def _cache(environment: Mapping[str, str]) -> Path:
    """Return where a user's caches of ours lie, by the XDG Base Directory Specification."""
    root = environment.get("XDG_CACHE_HOME", "")
    return (Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / "assay"
