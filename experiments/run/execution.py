"""Execution: what trials train on, and how many workers there are.

`Execution` comes first; below it are the choice of the device, the share of GPU memory, and the
environment of JAX.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.experiments.config.options import BACKENDS, XLA
from assay.experiments.config.request import ExecutionRequest, FuseOption
from assay.experiments.tracking.store import user_variables
from assay.experiments.workspace import Workspace
from assay.models.errors import RequestError
from assay.models.files import make_private_folder
from assay.models.names import check_name
from assay.models.precision import check_precision
from assay.search.system.hardware import (
    count_cores,
    list_gpus,
    missing_gpu_libraries,
    smallest_gpu_memory_megabytes,
    threads_per_worker,
)
from assay.search.workers.local_executor import LocalExecutor, WorkerRecipe

PRELOAD = "assay.models.worker.preload:preload"
TRAINER = "assay.models.worker.trainer:Trainer"
VMAP_TRAINER = "assay.models.worker.vmap_trainer:VmapTrainer"

CPU, GPU = "cpu", "gpu"
_ONE_GPU = re.compile(r"gpu:(\d+)")

SHARED_FRACTION = 0.9
"""The part of a GPU's memory that its workers share. CUDA's context and kernels, some hundred MB
per worker, need the rest.
"""


@dataclass(frozen=True)
class GpuMemory:
    """GPU memory of a worker.

    It is a fraction, and in MB if the size of the GPU is known.

    Both are None if a worker takes what it comes to need.
    """

    fraction: float | None = None
    megabytes: int | None = None

    def __str__(self) -> str:
        if self.fraction is None and self.megabytes is None:
            return "as needed"
        parts = (
            None if self.megabytes is None else f"{self.megabytes} MB",
            None if self.fraction is None else f"{self.fraction:.3g} of the GPU",
        )
        return ", ".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class Execution:
    """What the trials of a study, or a single training, train on.

    Attributes:
        backend: Keras backend.
        device: "cpu", "gpu" or "gpu:N".
        workers: number of trials at the same time.
        threads: number of threads of each worker.
        precision: Keras dtype policy.
        xla: "on", "off", or "auto": as Keras decides.
        gpus: GPUs of the workers, in turn, as CUDA_VISIBLE_DEVICES names them; none on the CPU.
        memory: GPU memory of each worker.
        reported: the device as a worker's backend names it; None before a worker was asked.
        fuse: the `--fuse` option. What a study was created with is in its `TrialBatching`.
        deterministic: whether operations are deterministic.
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
    deterministic: bool = False

    @classmethod
    def choose(
        cls,
        request: ExecutionRequest | None = None,
        workers: int | None = None,
        fuse: FuseOption = 0,
    ) -> Execution:
        """Return the execution, with defaults filled in.

        The defaults are one worker per GPU or core, and the backend TensorFlow or KERAS_BACKEND.

        Raises:
            RequestError: a backend is unknown or not installed, this machine lacks a device, or two
                choices exclude each other.
        """
        request = ExecutionRequest() if request is None else request
        backend = _choose_backend(request.backend)
        if backend != "jax" and fuse not in ("auto", 0):
            raise RequestError(
                f"fuse: only the backend 'jax' trains trials together; received fuse = {fuse} with "
                f"backend = {backend!r}; leave fuse out, or take --backend jax."
            )
        if request.deterministic and fuse not in ("auto", 0):
            raise RequestError(
                f"--deterministic trains one trial at a time: received it with --fuse {fuse}; "
                "remove one of the two."
            )
        device, chosen = choose_device(request.device, backend)
        count = workers if workers is not None else len(chosen) or count_cores()
        if not chosen and request.gpu_memory is not None:
            raise RequestError(
                f"--gpu-memory is for GPUs: received {request.gpu_memory:g} with --device cpu; "
                "remove it."
            )
        return cls(
            backend=backend,
            device=device,
            workers=count,
            threads=threads_per_worker(count) if request.threads is None else request.threads,
            precision=check_precision(request.precision),
            xla=_check_xla(request.xla, backend),
            gpus=tuple(chosen),
            memory=(
                share_memory(request.gpu_memory, backend, chosen, count) if chosen else GpuMemory()
            ),
            fuse=fuse if backend == "jax" and not request.deterministic else 0,
            deterministic=request.deterministic,
        )

    def trainer_arguments(self) -> dict[str, Any]:
        """Return the arguments of each worker's trainer."""
        return {
            "threads": self.threads,
            "on_gpu": bool(self.gpus),
            "gpu_megabytes": self.memory.megabytes,
            "precision": self.precision,
            "xla": self.xla,
            **({"deterministic": True} if self.deterministic else {}),
            **({} if self.fuse == 0 else {"calibrate": self.fuse == "auto"}),
        }

    def shared_environment(self) -> dict[str, str]:
        """Return the environment variables of all workers and of the fork server."""
        shared = {
            "KERAS_BACKEND": self.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",  # the user can do nothing about TensorFlow's start-up log
            "OMP_NUM_THREADS": str(self.threads),
            **(jax_environment(self.threads) if self.backend == "jax" else {}),
        }
        if not self.gpus:
            return {**shared, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if "CUDA_VISIBLE_DEVICES" not in os.environ:
            shared["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # numbers GPUs as nvidia-smi does
        if self.deterministic:
            shared |= _deterministic_environment(self.backend)
        if self.backend == "jax":
            shared["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
            # JAX refuses the new name of the fraction while the old one is set.
            shared["XLA_PYTHON_CLIENT_MEM_FRACTION"] = ""
            shared["XLA_CLIENT_MEM_FRACTION"] = f"{self.memory.fraction:.6g}"
        if self.backend == "torch":
            # Otherwise importing Keras starts CUDA, and no fork works after that.
            shared["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
        return shared

    def worker_environments(self) -> list[Mapping[str, str]]:
        """Return the further environment variables of each worker: its GPU, in turn."""
        return [
            {"CUDA_VISIBLE_DEVICES": self.gpus[worker % len(self.gpus)]} if self.gpus else {}
            for worker in range(self.workers)
        ]

    @contextmanager
    def executor(self, workspace: Workspace | None = None) -> Iterator[LocalExecutor]:
        """Start the workers; end them when the context is left.

        Args:
            workspace: home, for what user code logs to MLflow; None if no user code is run.
        """
        logging = {} if workspace is None else user_variables(workspace.user_mlflow)
        recipe = WorkerRecipe(
            preload=PRELOAD,
            trainer=TRAINER if self.fuse == 0 else VMAP_TRAINER,
            arguments=self.trainer_arguments(),
            environment={**self.shared_environment(), **logging},
        )
        executor = LocalExecutor(recipe, self.worker_environments())
        executor.start()
        try:
            yield executor
        finally:
            executor.close()


def _choose_backend(asked: str | None) -> str:
    chosen = asked or os.environ.get("KERAS_BACKEND") or "tensorflow"
    backend = check_name("backend", chosen, BACKENDS)
    if importlib.util.find_spec(backend) is None:
        raise RequestError(
            f"the backend {backend!r} is not installed: install it with pip install {backend}."
        )
    return backend


def _check_xla(asked: str, backend: str) -> str:
    check_name("xla", asked, XLA)
    if backend == "jax" and asked == "off":
        raise RequestError(
            "--xla off: JAX always compiles with XLA; leave it out, or take another --backend."
        )
    if backend == "torch" and asked == "on":
        raise RequestError(
            "--xla on: the torch backend has no XLA; leave it out, or take another --backend."
        )
    return asked


def choose_device(asked: str | None, backend: str) -> tuple[str, Sequence[str]]:
    """Return the device, "cpu", "gpu" (all GPUs) or "gpu:N", and its GPUs.

    Args:
        asked: one of these; None: the GPUs if the backend can use them, else the CPU.
        backend: Keras backend.

    Raises:
        RequestError: `asked` is no device, or this machine does not have it.
    """
    if asked is None:
        found = list_gpus()
        is_usable = bool(found) and missing_gpu_libraries(backend) is None
        return (GPU, found) if is_usable else (CPU, ())
    if asked == CPU:
        return CPU, ()
    one = _ONE_GPU.fullmatch(asked)
    if one is None and asked != GPU:
        raise RequestError(f"--device takes cpu, gpu or gpu:N, such as gpu:0; received {asked!r}.")
    found = _usable_gpus(asked, backend)
    if one is None:
        return GPU, found
    number = int(one[1])
    if number >= len(found):
        existing = ", ".join(f"gpu:{index}" for index in range(len(found)))
        raise RequestError(f"--device: this machine has {existing}; received {asked!r}.")
    return f"gpu:{number}", found[number : number + 1]


def _usable_gpus(asked: str, backend: str) -> list[str]:
    found = list_gpus()
    if not found:
        raise RequestError(
            f"--device {asked} needs an NVIDIA GPU, and the driver shows none (or "
            "CUDA_VISIBLE_DEVICES hides it); use --device cpu."
        )
    if (missing := missing_gpu_libraries(backend)) is not None:
        raise RequestError(f"--device {asked}: {missing}; or use --device cpu.")
    return found


def share_memory(
    asked: float | None,
    backend: str,
    gpus: Sequence[str],
    workers: int,
    gpu_memory: Callable[[Sequence[str]], int | None] = smallest_gpu_memory_megabytes,
) -> GpuMemory:
    """Return the GPU memory of each worker.

    By default a worker that has its GPU alone takes what it comes to need, and several share 0.9 of
    it equally. JAX always has a limit, by its own default 0.75: here 0.9.

    Args:
        asked: up to 1 a fraction of the GPU, above that MB; None: the default.
        backend: Keras backend.
        gpus: the GPUs in use; workers take them in turn.
        workers: number of workers on all of them.
        gpu_memory: returns the memory of the smallest of some GPUs in MB, or None.

    Raises:
        RequestError: the workers of a GPU would take more than it has, or the limit can't be set.
    """
    workers_per_gpu = -(-workers // len(gpus))
    if asked is None:
        return _default_memory(backend, gpus, workers_per_gpu, gpu_memory)
    if backend == "torch":
        raise RequestError(
            f"--gpu-memory is for tensorflow and jax: received {asked:g} with --backend torch; "
            "remove it."
        )
    total = gpu_memory(gpus)
    fraction = asked if asked <= 1 else None if total is None else asked / total
    if fraction is not None and fraction * workers_per_gpu > 1:
        size = "" if total is None else f" of {total} MB"
        raise RequestError(
            f"--gpu-memory: the workers of a GPU{size} must fit into it together: received "
            f"{asked:g} for each of {workers_per_gpu}; take {1 / workers_per_gpu:.2g} or less, or "
            "fewer --workers."
        )
    megabytes = int(asked) if asked > 1 else None if total is None else int(asked * total)
    is_unknown = megabytes is None if backend == "tensorflow" else fraction is None
    if is_unknown:
        other = "MB, such as 4096" if asked <= 1 else "a fraction, such as 0.4"
        raise RequestError(
            f"--gpu-memory: nvidia-smi does not report the size of the GPU: received {asked:g}; "
            f"give {other}."
        )
    return GpuMemory(fraction, megabytes)


def _default_memory(
    backend: str,
    gpus: Sequence[str],
    workers_per_gpu: int,
    gpu_memory: Callable[[Sequence[str]], int | None],
) -> GpuMemory:
    share = SHARED_FRACTION / workers_per_gpu
    if backend == "jax":
        return GpuMemory(share)
    if backend == "torch" or workers_per_gpu == 1 or (total := gpu_memory(gpus)) is None:
        return GpuMemory()
    return GpuMemory(share, int(share * total))


def jax_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that a process needs before it imports JAX.

    Variables that the user has set stay as they are. None of them changes a result. The folder of
    JAX's compilation cache is created; without one that only this user can write, there is none.
    """
    # A cache that another user can write holds programs that this user would run.
    cache = _cache_folder(os.environ)
    is_private = "JAX_COMPILATION_CACHE_DIR" in os.environ or (
        make_private_folder(cache) and make_private_folder(cache / "jax")
    )
    defaults = {
        # The size of XLA's thread pool on the CPU. XLA's own flags
        # (--xla_cpu_multi_thread_eigen=false, intra_op_parallelism_threads=1) leave the pool as it
        # is: an epoch took 15 % to 30 % more processor time with them.
        "PJRT_NPROC": str(threads),
        # Programs that any process has compiled are loaded in a tenth of the time, small ones too.
        **({"JAX_COMPILATION_CACHE_DIR": str(cache / "jax")} if is_private else {}),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # Errors in a user's code are reported by the last line of the traceback, which must be
        # theirs.
        "JAX_TRACEBACK_FILTERING": "off",
    }
    return {name: os.environ.get(name, value) for name, value in defaults.items()}


def _deterministic_environment(backend: str) -> dict[str, str]:
    """Return the environment variables by which a backend is deterministic on GPUs.

    On the CPU a backend needs none. TensorFlow has a call: see `Backend.set_deterministic`.
    """
    if backend == "jax":
        # Without operations that add in any order, and without choosing kernels by their time
        # (https://openxla.org/xla/determinism).
        flags = (os.environ.get("XLA_FLAGS", ""), "--xla_gpu_deterministic_ops=true")
        return {"XLA_FLAGS": " ".join(filter(None, flags))}
    # cuBLAS must not choose between workspaces
    # (https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html).
    return {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if backend == "torch" else {}


def _cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the user's cache folder, by the XDG Base Directory Specification."""
    root = Path(environment.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache") / "assay"
