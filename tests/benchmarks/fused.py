"""Trials of one small signature: trained together, and one at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from experiments.asking import ask_experiment
from experiments.execution import Execution
from experiments.execution_request import ExecutionRequest
from experiments.experiment import Experiment
from experiments.fusing import Fusing
from experiments.places import Places
from experiments.progress.bar import SilentDisplay
from experiments.session import Session, prepared
from search.hardware import cores
from search.protocols import Executor
from search.workers.slots import SlotExecutor
from tests.benchmarks.phases import search_seconds, wait_for
from tests.benchmarks.row import Row

TRIALS = 32
TOGETHER = 8
UNITS = 8
BATCH = 32
_CACHE = "JAX_COMPILATION_CACHE_DIR"


def rows(quick: bool, repeats: int = 3) -> Iterator[Row]:
    """Search the same 32 learning rates both ways, in turn; each time with new workers and nothing compiled."""
    experiment = small(quick)
    rates = [{"learning_rate": float(rate)} for rate in np.geomspace(1e-4, 1e-2, 4 if quick else TRIALS)]
    together: list[float] = []
    alone: list[float] = []
    for number in range(1 if quick else repeats):
        for size in (1, TOGETHER) if number % 2 == 0 else (TOGETHER, 1):
            (alone if size == 1 else together).append(phase(experiment, rates, size))
    yield Row(
        measure=f"{len(rates)} trials of one small signature, fused against one at a time (JAX)",
        value=median(alone) / median(together),
        unit="x",
        goal=1.5,
        stretch=3.0,
        better="more",
        detail={
            "units": UNITS,
            "batch_size": BATCH,
            "one_at_a_time_seconds": alone,
            "fused_seconds": together,
            "together": TOGETHER,
        },
    )


def small(quick: bool) -> Experiment:
    """Return a search of nothing but the learning rate of a network whose steps cost more than their arithmetic.

    On MNIST, or for a quick look on digits. On a processor wider ones gain less: of 32 units 1.2 to 1.5 times, of 128
    nothing, since one trial's arithmetic keeps a core busy.
    """
    name, epochs = ("digits-mlp", 2) if quick else ("mnist-mlp", None)
    fixed = {"hidden_units": UNITS, "activation": "relu", "batch_size": BATCH}
    return ask_experiment(name, fixed, epochs).searching(sampler="random", pruner="none")


def phase(experiment: Experiment, configurations: Sequence[dict[str, float]], size: int) -> float:
    """Return the seconds of a search phase with so many trials together in each of one worker a core."""
    execution = Execution.choose(ExecutionRequest(backend="jax", device="cpu"), cores(), size)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-bench-")))
        stack.enter_context(_compiling_anew(place))
        workers = stack.enter_context(execution.executor())
        data = prepared(experiment, Places.choose(home=place), SilentDisplay())
        session = Session(experiment, data, execution, 0, Fusing(size, 0))
        executor: Executor = SlotExecutor(workers, size) if size > 1 else workers
        wait_for(executor, execution.workers * size)
        return search_seconds(session, executor, configurations)


@contextmanager
def _compiling_anew(place: Path) -> Iterator[None]:
    """Have workers begin with an empty cache of compiled code, as the first sweep of a signature does."""
    kept = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(place / "jax")
    try:
        yield
    finally:
        del os.environ[_CACHE]
        if kept is not None:
            os.environ[_CACHE] = kept
