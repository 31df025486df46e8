"""How trials are executed: on what, and by how many workers."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.request import ExecutionRequest
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.precision import check_precision
from assay.search.system.hardware import (
    cores,
    gpus,
    missing_libraries,
    smallest_gpu_memory_megabytes,
    threads_each,
)
from assay.search.workers.executor import LocalExecutor, WorkerRecipe

if TYPE_CHECKING:
    from assay.experiments.config.request import FuseOption


# The device that trials train on: what was asked for, and what this machine has.


CPU, GPU = "cpu", "gpu"
_ONE_GPU = re.compile(r"gpu:(\d+)")


def choose_device(asked: str | None, backend: str) -> tuple[str, Sequence[str]]:
    """Return the device, "cpu", "gpu" (all cards) or "gpu:N", and the cards that it is.

    Args:
        asked: one of these; None takes the cards if the backend can use them, else the processor.
        backend: what is to train.

    Raises:
        RequestError: it is none, or this machine does not have it.
    """
    if asked is None:
        found = gpus()
        return (CPU, ()) if not found or missing_libraries(backend) is not None else (GPU, found)
    if asked == CPU:
        return CPU, ()
    one = _ONE_GPU.fullmatch(asked)
    if one is None and asked != GPU:
        raise RequestError(f"--device takes cpu, gpu or gpu:N, such as gpu:0; received {asked!r}.")
    found = _usable(asked, backend)
    if one is None:
        return GPU, found
    number = int(one[1])
    if number >= len(found):
        there = ", ".join(f"gpu:{card}" for card in range(len(found)))
        raise RequestError(f"--device: this machine has {there}; received {asked!r}.")
    return f"gpu:{number}", found[number : number + 1]


def _usable(asked: str, backend: str) -> list[str]:
    found = gpus()
    if not found:
        raise RequestError(
            f"--device {asked} needs an NVIDIA card: received it where the driver shows none (or CUDA_VISIBLE_DEVICES "
            f"hides it); take --device cpu."
        )
    if (missing := missing_libraries(backend)) is not None:
        raise RequestError(f"--device {asked}: {missing}; or take --device cpu.")
    return found


# How much of its card's memory a worker may take, so that several can share one.


SHARED_FRACTION = 0.9
"""What workers of a card share out among them; the rest is for what each takes beside its arrays:
CUDA's context and
kernels, some hundred MB."""


@dataclass(frozen=True)
class GpuMemory:
    """What a worker may take of its card: a fraction, and the same in MB as far as the card's size
    is known.

    Both None: as much as it comes to need.
    """

    fraction: float | None = None
    megabytes: int | None = None

    def __str__(self) -> str:
        if self.fraction is None and self.megabytes is None:
            return "as needed"
        parts = (
            None if self.megabytes is None else f"{self.megabytes} MB",
            None if self.fraction is None else f"{self.fraction:.3g} of the card",
        )
        return ", ".join(part for part in parts if part is not None)


def share_memory(
    asked: float | None,
    backend: str,
    gpus: Sequence[str],
    workers: int,
    gpu_memory: Callable[[Sequence[str]], int | None] = smallest_gpu_memory_megabytes,
) -> GpuMemory:
    """Return what each worker may take of its card.

    Unasked, one worker a card takes what it comes to need, and several share 0.9 of it equally. JAX
    has a limit in any case, 0.75 unless it is told: here 0.9.

    Args:
        asked: a fraction of the card up to 1, MB above that, or None.
        backend: what trains.
        gpus: those in use; workers go to them in turn.
        workers: all of them together.
        gpu_memory: tells the memory of the smallest of some cards, None if it can't.

    Raises:
        RequestError: the workers of a card would take more than it has, or what is asked can't be
            had.
    """
    each = -(-workers // len(gpus))
    if asked is None:
        return _unasked(backend, gpus, each, gpu_memory)
    if backend == "torch":
        raise RequestError(
            f"--gpu-memory is for tensorflow and jax: received {asked:g} with --backend torch; remove it."
        )
    total = gpu_memory(gpus)
    fraction = asked if asked <= 1 else None if total is None else asked / total
    if fraction is not None and fraction * each > 1:
        size = "" if total is None else f" of {total} MB"
        raise RequestError(
            f"--gpu-memory: the workers of a card{size} may take all of it together: received {asked:g} for each of "
            f"{each}; take {1 / each:.2g} or less, or fewer --workers."
        )
    megabytes = int(asked) if asked > 1 else None if total is None else int(asked * total)
    if (megabytes is None and backend == "tensorflow") or (fraction is None and backend == "jax"):
        other = "MB, such as 4096" if asked <= 1 else "a fraction, such as 0.4"
        raise RequestError(
            f"--gpu-memory: nvidia-smi does not tell how much the card has: received {asked:g}; give {other}."
        )
    return GpuMemory(fraction, megabytes)


def _unasked(
    backend: str, gpus: Sequence[str], each: int, gpu_memory: Callable[[Sequence[str]], int | None]
) -> GpuMemory:
    if backend == "jax":
        return GpuMemory(SHARED_FRACTION / each)
    if backend == "torch" or each == 1 or (total := gpu_memory(gpus)) is None:
        return GpuMemory()
    return GpuMemory(SHARED_FRACTION / each, int(SHARED_FRACTION / each * total))


# What a process that trains on JAX must have in its environment before JAX is imported there.


def jax_environment(threads: int) -> dict[str, str]:
    """Return environment variables, by name, of a process that computes with so many threads.

    What the user has set of these stays as it is. Nothing of it changes a result.
    """
    wanted = {
        # The size of XLA's pool on the processor. Its own flags
        # (--xla_cpu_multi_thread_eigen=false, intra_op_parallelism_threads=1) leave the pool as it
        # is: an epoch took 15 % to 30 % more of the processor.
        "PJRT_NPROC": str(threads),
        # What was compiled once, in whatever process, is loaded: a tenth of the time, for small
        # programs too.
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


BACKENDS = ("tensorflow", "jax", "torch")
XLA = ("auto", "on", "off")
PRELOAD = "assay.models.worker.preload:preload"
TRAINER = "assay.models.worker.trainer:Trainer"
VMAP_TRAINER = "assay.models.worker.vmap_trainer:VmapTrainer"


@dataclass(frozen=True)
class Execution:
    """How a study's trials, or a single run, are executed.

    Attributes:
        backend: of Keras.
        device: "cpu", "gpu" or "gpu:N", as it was asked for or chosen.
        workers: trials at a time.
        threads: of each worker.
        precision: of `assay.models.precision.PRECISIONS`.
        xla: whether steps are compiled with XLA; "auto" leaves it to Keras.
        gpus: that workers train on, in turn, by the names that CUDA_VISIBLE_DEVICES takes; none on
            the processor.
        memory: what each worker may take of its card.
        reported: the device as a worker's backend names it, once one was asked.
        fuse: what was asked for; what a study was made with is in its `TrialBatching`.
    """

    backend: str
    device: str
    workers: int
    threads: int
    precision: str = "float32"
    xla: str = "auto"
    gpus: Sequence[str] = ()
    memory: GpuMemory = field(default_factory=GpuMemory)
    reported: str | None = None
    fuse: FuseOption = 0

    @classmethod
    def choose(
        cls,
        request: ExecutionRequest | None = None,
        workers: int | None = None,
        fuse: FuseOption = 0,
    ) -> Execution:
        """Fill in what was not asked for: one worker a card or a core, TensorFlow unless
        KERAS_BACKEND says otherwise.

        Raises:
            RequestError: a backend that does not exist or is not installed, a device that this
                machine does not have, or what does not go with these.
        """
        asked = ExecutionRequest() if request is None else request
        backend = check_name(
            "backend", asked.backend or os.environ.get("KERAS_BACKEND") or "tensorflow", BACKENDS
        )
        if importlib.util.find_spec(backend) is None:
            raise RequestError(
                f"the backend {backend!r} is not installed: install it with pip install {backend}."
            )
        if backend != "jax" and fuse not in ("auto", 0):
            raise RequestError(
                f"fuse: trials are trained together on the backend 'jax' alone; received fuse = {fuse} with backend = "
                f"{backend!r}; leave fuse out, or take --backend jax."
            )
        device, gpus = choose_device(asked.device, backend)
        count = workers if workers is not None else len(gpus) or cores()
        if not gpus and asked.gpu_memory is not None:
            raise RequestError(
                f"--gpu-memory is of cards: received {asked.gpu_memory:g} with --device cpu; remove it."
            )
        return cls(
            backend=backend,
            device=device,
            workers=count,
            threads=threads_each(count),
            precision=check_precision(asked.precision),
            xla=_checked_xla(asked.xla, backend),
            gpus=tuple(gpus),
            memory=share_memory(asked.gpu_memory, backend, gpus, count) if gpus else GpuMemory(),
            fuse=fuse if backend == "jax" else 0,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of each worker's trainer."""
        return {
            "threads": self.threads,
            "on_gpu": bool(self.gpus),
            "gpu_megabytes": self.memory.megabytes,
            "precision": self.precision,
            "xla": self.xla,
            **({} if self.fuse == 0 else {"calibrate": self.fuse == "auto"}),
        }

    def environment(self) -> dict[str, str]:
        """Return what all workers, and the process that imports the backend for them, have in their
        environment.
        """
        shared = {
            "KERAS_BACKEND": self.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",  # what TensorFlow tells at its start is not the user's to act on
            "OMP_NUM_THREADS": str(self.threads),
            **(jax_environment(self.threads) if self.backend == "jax" else {}),
        }
        if not self.gpus:
            return {**shared, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if "CUDA_VISIBLE_DEVICES" not in os.environ:
            shared["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # so that numbers are those of nvidia-smi
        match self.backend:
            case "jax":
                shared["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
                shared["XLA_PYTHON_CLIENT_MEM_FRACTION"] = (
                    ""  # the old name, with which JAX refuses the new one
                )
                shared["XLA_CLIENT_MEM_FRACTION"] = f"{self.memory.fraction:.6g}"
            case "torch":
                shared["PYTORCH_NVML_BASED_CUDA_CHECK"] = (
                    "1"  # else importing Keras starts CUDA, which no fork survives
                )
        return shared

    def environments(self) -> list[Mapping[str, str]]:
        """Return what each worker has beside that: cards are shared out in turn."""
        return [
            {"CUDA_VISIBLE_DEVICES": self.gpus[worker % len(self.gpus)]} if self.gpus else {}
            for worker in range(self.workers)
        ]

    @contextmanager
    def executor(self) -> Iterator[LocalExecutor]:
        """Enter with workers on their way, leave with none."""
        recipe = WorkerRecipe(
            preload=PRELOAD,
            trainer=TRAINER if self.fuse == 0 else VMAP_TRAINER,
            arguments=self.arguments(),
            environment=self.environment(),
        )
        executor = LocalExecutor(recipe, self.environments())
        executor.start()
        try:
            yield executor
        finally:
            executor.close()


def _checked_xla(asked: str, backend: str) -> str:
    check_name("xla", asked, XLA)
    if backend == "jax" and asked == "off":
        raise RequestError(
            "--xla off: JAX computes by XLA and no other way; leave it out, or take another --backend."
        )
    if backend == "torch" and asked == "on":
        raise RequestError(
            "--xla on: torch has no XLA here; leave it out, or take another --backend."
        )
    return asked
