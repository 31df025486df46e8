"""How trials are executed: on what, and by how many workers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.device import choose_device
from experiments.execution_request import ExecutionRequest
from experiments.gpu_memory import GpuMemory, share_memory
from models.errors import RequestError
from models.jax_environment import jax_environment
from models.names import check_name
from models.precision import check_precision
from search.hardware import cores, threads_each
from search.workers.local import LocalExecutor, WorkerRecipe

if TYPE_CHECKING:
    from experiments.fusing import Fuse

BACKENDS = ("tensorflow", "jax", "torch")
XLA = ("auto", "on", "off")
PRELOAD = "models.preloading:preload"
TRAINER = "models.trainer:Trainer"
FUSED_TRAINER = "models.fused:FusedTrainer"


@dataclass(frozen=True)
class Execution:
    """How a study's trials, or a single run, are executed.

    Attributes:
        backend: of Keras.
        device: "cpu", "gpu" or "gpu:N", as it was asked for or chosen.
        workers: trials at a time.
        threads: of each worker.
        precision: of `models.precision.PRECISIONS`.
        xla: whether steps are compiled with XLA; "auto" leaves it to Keras.
        cards: that workers train on, in turn, by the names that CUDA_VISIBLE_DEVICES takes; none on the processor.
        memory: what each worker may take of its card.
        reported: the device as a worker's backend names it, once one was asked.
        fuse: what was asked for; what a study was made with is in its `Fusing`.
    """

    backend: str
    device: str
    workers: int
    threads: int
    precision: str = "float32"
    xla: str = "auto"
    cards: Sequence[str] = ()
    memory: GpuMemory = field(default_factory=GpuMemory)
    reported: str | None = None
    fuse: Fuse = 0

    @classmethod
    def choose(cls, request: ExecutionRequest | None = None, workers: int | None = None, fuse: Fuse = 0) -> Execution:
        """Fill in what was not asked for: one worker a card or a core, TensorFlow unless KERAS_BACKEND says otherwise.

        Raises:
            RequestError: a backend that does not exist or is not installed, a device that this machine does not have,
                or what does not go with these.
        """
        asked = ExecutionRequest() if request is None else request
        backend = check_name("backend", asked.backend or os.environ.get("KERAS_BACKEND") or "tensorflow", BACKENDS)
        if importlib.util.find_spec(backend) is None:
            raise RequestError(f"the backend {backend!r} is not installed: install it with pip install {backend}.")
        if backend != "jax" and fuse not in ("auto", 0):
            raise RequestError(
                f"fuse: trials are trained together on the backend 'jax' alone; received fuse = {fuse} with backend = "
                f"{backend!r}; leave fuse out, or take --backend jax."
            )
        device, cards = choose_device(asked.device, backend)
        count = workers if workers is not None else len(cards) or cores()
        if not cards and asked.gpu_memory is not None:
            raise RequestError(f"--gpu-memory is of cards: received {asked.gpu_memory:g} with --device cpu; remove it.")
        return cls(
            backend=backend,
            device=device,
            workers=count,
            threads=threads_each(count),
            precision=check_precision(asked.precision),
            xla=_checked_xla(asked.xla, backend),
            cards=tuple(cards),
            memory=share_memory(asked.gpu_memory, backend, cards, count) if cards else GpuMemory(),
            fuse=fuse if backend == "jax" else 0,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of each worker's trainer."""
        return {
            "threads": self.threads,
            "on_gpu": bool(self.cards),
            "gpu_megabytes": self.memory.megabytes,
            "precision": self.precision,
            "xla": self.xla,
            **({} if self.fuse == 0 else {"calibrate": self.fuse == "auto"}),
        }

    def environment(self) -> dict[str, str]:
        """Return what all workers, and the process that imports the backend for them, have in their environment."""
        shared = {
            "KERAS_BACKEND": self.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",  # what TensorFlow tells at its start is not the user's to act on
            "OMP_NUM_THREADS": str(self.threads),
            **(jax_environment(self.threads) if self.backend == "jax" else {}),
        }
        if not self.cards:
            return {**shared, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if "CUDA_VISIBLE_DEVICES" not in os.environ:
            shared["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # so that numbers are those of nvidia-smi
        match self.backend:
            case "jax":
                shared["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
                shared["XLA_PYTHON_CLIENT_MEM_FRACTION"] = ""  # the old name, with which JAX refuses the new one
                shared["XLA_CLIENT_MEM_FRACTION"] = f"{self.memory.fraction:.6g}"
            case "torch":
                shared["PYTORCH_NVML_BASED_CUDA_CHECK"] = (
                    "1"  # else importing Keras starts CUDA, which no fork survives
                )
        return shared

    def environments(self) -> list[Mapping[str, str]]:
        """Return what each worker has beside that: cards are shared out in turn."""
        return [
            {"CUDA_VISIBLE_DEVICES": self.cards[worker % len(self.cards)]} if self.cards else {}
            for worker in range(self.workers)
        ]

    @contextmanager
    def executor(self) -> Iterator[LocalExecutor]:
        """Enter with workers on their way, leave with none."""
        recipe = WorkerRecipe(
            preload=PRELOAD,
            trainer=TRAINER if self.fuse == 0 else FUSED_TRAINER,
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
        raise RequestError("--xla off: JAX computes by XLA and no other way; leave it out, or take another --backend.")
    if backend == "torch" and asked == "on":
        raise RequestError("--xla on: torch has no XLA here; leave it out, or take another --backend.")
    return asked
