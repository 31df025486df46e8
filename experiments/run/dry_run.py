"""What a sweep would do and cost, found out without writing anything that outlives the question."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.data.known import KNOWN
from assay.experiments.data.registry import locate
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs
from assay.experiments.run.preflight import call, confirm_device, first_worker, run_preflight_check
from assay.experiments.run.progress import Display
from assay.experiments.run.session import Session, check_batch, prepared
from assay.experiments.run.sweep import checked_name, queue_known, study_request
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import OutOfMemory
from assay.search.samplers import get_sampler
from assay.search.workers.protocol import Executor, Trial

_SHOWN = 5
_MEASURED = 3
_MEASURED_EPOCHS = 2  # the first has compiling in it


@dataclass(frozen=True)
class Measured:
    """What a trial took that was begun to find out: the time before its second epoch, that epoch's,
    and memory.
    """

    start_seconds: float
    epoch_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class Forecast:
    """A sweep that was not made.

    Attributes:
        study: what it would be called.
        space: each parameter in words, by name.
        configurations: how many there are; None where there is no end.
        first: the first trials' configurations, each with whose idea it is.
        trials: how many would be trained.
        workers: how many at a time.
        seconds: that all trials would take together if none is pruned; None if nothing could be
            measured.
        memory_bytes: that all workers would hold together; likewise.
        unmeasured: why nothing was measured, if so.
    """

    study: str
    space: Mapping[str, str]
    configurations: int | None
    first: Sequence[tuple[str, Mapping[str, Any]]]
    trials: int
    workers: int
    seconds: float | None
    memory_bytes: int | None
    unmeasured: str | None

    def beginning_with(self, trials: Sequence[Trial], **found: Any) -> Forecast:
        """Return the forecast with its first trials, and what else was found of them."""
        return dataclasses.replace(
            self, first=[(trial.origin, trial.searched) for trial in trials], **found
        )

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            **dataclasses.asdict(self),
            "first": [{"origin": origin, **one} for origin, one in self.first],
        }


def forecast(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths, display: Display
) -> Forecast:
    """Say what a sweep would search, what it would try first, and what that takes; stores and home
    stay as they are.

    Raises:
        RequestError: the sweep would be refused.
    """
    check_batch(experiment, store_paths)
    experiment.search.check(experiment.space, experiment.largest("epochs"))
    execution = Execution.choose(request.execution, request.workers, request.fuse)
    size = get_sampler(experiment.search.sampler).size(experiment.space)
    told = Forecast(
        study=checked_name(experiment.name if request.study is None else request.study),
        space={name: str(parameter) for name, parameter in experiment.space.items()},
        configurations=size,
        first=[],
        trials=experiment.search.trials if size is None else min(size, experiment.search.trials),
        workers=execution.workers,
        seconds=None,
        memory_bytes=None,
        unmeasured=None,
    )
    if not locate(experiment.data, store_paths.data_dir, experiment.path.parent).is_there:
        known = KNOWN[
            experiment.data.name
        ]  # only what can be fetched can be known and not be there
        first = _first(
            experiment, request, Inputs(known.shape, len(known.classes)), execution.workers
        )
        return told.beginning_with(
            first, unmeasured=f"{experiment.data.name} is not there yet: a sweep fetches it first"
        )
    try:
        return _measured(told, experiment, request, store_paths, execution, display)
    except OutOfMemory:
        first = _first(experiment, request, None, execution.workers)
        return told.beginning_with(first, unmeasured="the first trials do not fit into memory")


def _first(
    experiment: Experiment, request: SweepRequest, inputs: Inputs | None, workers: int
) -> list[Trial]:
    """Return the trials that a new study of the experiment would begin with."""
    import optuna  # here, because --help needs none of it

    from assay.search.study import StudyTrials

    trials = StudyTrials(
        optuna.storages.InMemoryStorage(), study_request("dry-run", experiment, request, {})
    )
    queue_known(trials, experiment, request, inputs, workers)
    asked: list[Trial] = []
    while len(asked) < min(_SHOWN, experiment.search.trials) and trials.more():
        trial = trials.ask()
        assert trial is not None, "nobody else takes trials of a study in memory"
        asked.append(trial)
    return asked


def _measured(
    told: Forecast,
    experiment: Experiment,
    request: SweepRequest,
    store_paths: StorePaths,
    execution: Execution,
    display: Display,
) -> Forecast:
    """Train two epochs of each of the first trials, one after the other, in a home that
    vanishes.
    """
    with ExitStack() as stack:
        workspace = Workspace(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-dry-run-")))
        )
        # One worker, with the threads that it would have beside the others.
        executor = stack.enter_context(dataclasses.replace(execution, workers=1).executor())
        data = prepared(experiment, dataclasses.replace(store_paths, workspace=workspace), display)
        session = Session(experiment, data, confirm_device(execution, executor), request.seed or 0)
        first = _first(experiment, request, session.inputs, execution.workers)
        run_preflight_check(session, first[0].searched, executor, display)
        measured = [_time(session, executor, trial) for trial in first[:_MEASURED]]
    epochs = [session.epochs(trial) for trial in first[:_MEASURED]]
    each = [
        one.start_seconds + one.epoch_seconds * (count - 1)
        for one, count in zip(measured, epochs, strict=True)
    ]
    return told.beginning_with(
        first,
        seconds=statistics.mean(each) * told.trials / min(execution.workers, told.trials),
        memory_bytes=max(one.peak_memory_bytes for one in measured) * execution.workers,
    )


def _time(session: Session, executor: Executor, trial: Trial) -> Measured:
    worker = first_worker(executor)
    began = time.monotonic()
    call(executor, worker, "begin", spec=session.trial_spec(trial))
    epochs = min(_MEASURED_EPOCHS, session.epochs(trial))
    seconds = [call(executor, worker, "epoch")["seconds"] for _ in range(epochs)]
    whole = time.monotonic() - began
    costs = call(executor, worker, "finish", save_as=None)
    executor.release(worker)
    return Measured(whole - sum(seconds[1:]), seconds[-1], costs["peak_memory_bytes"])
