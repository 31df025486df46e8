"""Vectorized trials, compared with one trial at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import ExecutionRequest, FuseOption, load_experiment
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import Preflight
from assay.experiments.run.session import Session, prepare_data
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.workspace import StorePaths
from assay.search.system.hardware import count_cores
from assay.search.workers.protocol import Executor
from assay.search.workers.vmap_lanes import LaneExecutor
from tests.benchmarks.mnist import mnist
from tests.benchmarks.phases import search_seconds, wait_for
from tests.benchmarks.rounds import alternate
from tests.benchmarks.row import Row

NEEDS_MNIST = True
TRIALS = 32
TOGETHER = 8
BATCH = 32
_CACHE = "JAX_COMPILATION_CACHE_DIR"


def rows(quick: bool, repeats: int = 3) -> Iterator[Row]:
    """Compare both on the same learning rates.

    They run in turn, each time with new workers and an empty compile cache. In the first network, a
    step costs more than its arithmetic. In the second, the arithmetic keeps a core busy, and a
    worker with `fuse="auto"` must detect that vectorized trials gain nothing.
    """
    trials = 4 if quick else TRIALS
    name = (
        f"{trials} trials of 784-{{}}-10, batches of {BATCH}, "
        "vectorized against one at a time (JAX)"
    )
    yield _row(name.format(8), 8, trials, TOGETHER, repeats, goal=1.5, stretch=3.0)
    yield _row(
        f"{name.format(128)}, --fuse auto", 128, trials, "auto", repeats, goal=1.0, stretch=None
    )


def _row(
    measure: str,
    units: int,
    trials: int,
    fuse: FuseOption,
    repeats: int,
    goal: float | None,
    stretch: float | None,
) -> Row:
    experiment = load_experiment(
        "mnist-mlp", {"hidden_units": units, "activation": "relu", "batch_size": BATCH}
    )
    experiment = experiment.with_search(sampler="random", pruner="none")
    rates = [{"learning_rate": float(rate)} for rate in np.geomspace(1e-4, 1e-2, trials)]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _, together in alternate((True, False), repeats):
        seconds[together].append(phase(experiment, rates, fuse if together else 0))
    fused, alone = (median(seconds[together]) for together in (True, False))
    detail = {"fuse": fuse, "fused_seconds": seconds[True], "one_at_a_time_seconds": seconds[False]}
    note = f"{fused:.1f} s against {alone:.1f} s"
    return Row(measure, alone / fused, "x", goal, stretch, "more", detail, note)


def phase(
    experiment: Experiment, configurations: Sequence[dict[str, float]], fuse: FuseOption
) -> float:
    """Return the seconds of a search phase with one worker per core."""
    execution = Execution.choose(ExecutionRequest(backend="jax", device="cpu"), count_cores(), fuse)
    size = TOGETHER if fuse == "auto" else fuse
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack.enter_context(_empty_compile_cache(place))
        workers = stack.enter_context(execution.executor())
        store_paths = StorePaths.choose(home=place, data_dir=mnist().parent)
        preflight = Preflight(experiment, prepare_data(experiment, store_paths))
        session = Session(preflight, execution, 0, TrialBatching(max(1, size), 0))
        executor: Executor = LaneExecutor(workers, size) if size else workers
        wait_for(executor, execution.workers * max(1, size))
        return search_seconds(session, executor, configurations)


@contextmanager
def _empty_compile_cache(place: Path) -> Iterator[None]:
    """Give workers an empty compile cache, as in the first sweep of a network."""
    kept = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(place / "jax")
    try:
        yield
    finally:
        del os.environ[_CACHE]
        if kept is not None:
            os.environ[_CACHE] = kept
