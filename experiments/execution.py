"""How trials are executed: on what, and by how many workers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from experiments.fusing import Fuse
from models.backends.jax_environment import jax_environment
from models.errors import RequestError
from models.names import check_name
from search.hardware import default_workers, gpus, threads_each
from search.workers.local import LocalExecutor, WorkerRecipe

BACKENDS = ("tensorflow", "jax", "torch")
PRELOAD = "models.trainer:preload"
TRAINER = "models.trainer:Trainer"
FUSED_TRAINER = "models.fused:FusedTrainer"


@dataclass(frozen=True)
class Execution:
    """How a study's trials, or a single run, are executed.

    `threads` is of each worker; `device` is "cpu" or "gpu", and says what the installed backend will use. `fuse` is
    what was asked for; what a study was made with is in its `Fusing`.
    """

    backend: str
    device: Literal["cpu", "gpu"]
    workers: int
    threads: int
    precision: Literal["float32"] = "float32"
    fuse: Fuse = 0

    @classmethod
    def choose(cls, workers: int | None = None, backend: str | None = None, fuse: Fuse = 0) -> Execution:
        """Fill in what was not asked for: one worker a GPU or a core, TensorFlow unless KERAS_BACKEND says otherwise.

        Raises:
            RequestError: a backend that does not exist or is not installed, or that does not train trials together.
        """
        chosen = check_name("backend", backend or os.environ.get("KERAS_BACKEND") or "tensorflow", BACKENDS)
        if importlib.util.find_spec(chosen) is None:
            raise RequestError(f"the backend {chosen!r} is not installed: install it with pip install {chosen}.")
        if chosen != "jax" and fuse not in ("auto", 0):
            raise RequestError(
                f"fuse: trials are trained together on the backend 'jax' alone; received fuse = {fuse} with backend = "
                f"{chosen!r}; leave fuse out, or take --backend jax."
            )
        count = workers if workers is not None else default_workers()
        return cls(
            backend=chosen,
            device="gpu" if gpus() and chosen == "tensorflow" else "cpu",
            workers=count,
            threads=threads_each(count),
            fuse=fuse if chosen == "jax" else 0,
        )

    @contextmanager
    def executor(self) -> Iterator[LocalExecutor]:
        """Enter with workers on their way, leave with none."""
        cards = gpus()
        executor = LocalExecutor(
            WorkerRecipe(
                preload=PRELOAD,
                trainer=TRAINER if self.fuse == 0 else FUSED_TRAINER,
                arguments={"threads": self.threads, **({} if self.fuse == 0 else {"calibrate": self.fuse == "auto"})},
                environment={
                    "KERAS_BACKEND": self.backend,
                    "TF_CPP_MIN_LOG_LEVEL": "3",  # what TensorFlow tells at its start is not the user's to act on
                    "OMP_NUM_THREADS": str(self.threads),
                    **(jax_environment(self.threads) if self.backend == "jax" else {}),
                },
            ),
            [{"CUDA_VISIBLE_DEVICES": cards[worker % len(cards)]} if cards else {} for worker in range(self.workers)],
        )
        executor.start()
        try:
            yield executor
        finally:
            executor.close()
