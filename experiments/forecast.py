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

from experiments.calls import call, first_worker
from experiments.data.locate import locate
from experiments.execution import Execution
from experiments.experiment import Experiment
from experiments.home import Home
from experiments.places import Places
from experiments.progress.display import Display
from experiments.rehearsal import rehearse
from experiments.session import Session, check_batch, prepared
from experiments.sweep_result import SweepRequest
from experiments.sweeping import checked_name, study_request
from search.protocols import Executor, Trial
from search.samplers import find_sampler

_SHOWN = 5
_MEASURED = 3
_MEASURED_EPOCHS = 2  # the first has compiling in it


@dataclass(frozen=True)
class Measured:
    """What a trial took that was begun to find out: the time before its second epoch, that epoch's, and memory."""

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
        seconds: that all trials would take together if none is pruned; None if nothing could be measured.
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

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**dataclasses.asdict(self), "first": [{"origin": origin, **one} for origin, one in self.first]}


def forecast(experiment: Experiment, request: SweepRequest, places: Places, display: Display) -> Forecast:
    """Say what a sweep would search, what it would try first, and what that takes; stores and home stay as they are.

    Raises:
        RequestError: the sweep would be refused.
    """
    check_batch(experiment, places)
    experiment.search.check(experiment.space, experiment.largest("epochs"))
    execution = Execution.choose(request.workers, request.backend, request.fuse)
    size = find_sampler(experiment.search.sampler).size(experiment.space)
    first = _first(experiment, request)
    told = Forecast(
        study=checked_name(experiment.name if request.study is None else request.study),
        space={name: str(parameter) for name, parameter in experiment.space.items()},
        configurations=size,
        first=[(trial.origin, trial.searched) for trial in first],
        trials=experiment.search.trials if size is None else min(size, experiment.search.trials),
        workers=execution.workers,
        seconds=None,
        memory_bytes=None,
        unmeasured=None,
    )
    if not locate(experiment.data, places.data_dir, experiment.path.parent).is_there:
        return dataclasses.replace(
            told, unmeasured=f"{experiment.data.name} is not there yet: a sweep fetches it first"
        )
    measured = _measure(experiment, request, places, execution, first[:_MEASURED], display)
    epochs = [experiment.settings(trial.searched)[1].epochs for trial in first[:_MEASURED]]
    each = [one.start_seconds + one.epoch_seconds * (count - 1) for one, count in zip(measured, epochs, strict=True)]
    return dataclasses.replace(
        told,
        seconds=statistics.mean(each) * told.trials / min(execution.workers, told.trials),
        memory_bytes=max(one.peak_memory_bytes for one in measured) * execution.workers,
    )


def _first(experiment: Experiment, request: SweepRequest) -> list[Trial]:
    """Return the trials that a new study of the experiment would begin with."""
    import optuna  # here, because --help needs none of it

    from search.study import StudyTrials

    trials = StudyTrials(optuna.storages.InMemoryStorage(), study_request("dry-run", experiment, request, {}))
    trials.enqueue(request.enqueued, "enqueued")
    trials.enqueue(experiment.baseline_configurations(), "baseline")
    asked: list[Trial] = []
    while len(asked) < min(_SHOWN, experiment.search.trials) and trials.more():
        asked.append(trials.ask())
    return asked


def _measure(
    experiment: Experiment,
    request: SweepRequest,
    places: Places,
    execution: Execution,
    trials: Sequence[Trial],
    display: Display,
) -> list[Measured]:
    """Train two epochs of each of these trials, one after the other, in a home that vanishes."""
    with ExitStack() as stack:
        home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-dry-run-"))))
        # One worker, with the threads that it would have beside the others.
        executor = stack.enter_context(dataclasses.replace(execution, workers=1).executor())
        data = prepared(experiment, dataclasses.replace(places, home=home), display)
        session = Session(experiment, data, execution, request.seed or 0)
        rehearse(session, trials[0].searched, executor, display)
        return [_time(session, executor, trial) for trial in trials]


def _time(session: Session, executor: Executor, trial: Trial) -> Measured:
    worker = first_worker(executor)
    began = time.monotonic()
    call(executor, worker, "begin", assignment=session.assign(trial))
    epochs = min(_MEASURED_EPOCHS, session.epochs(trial))
    seconds = [call(executor, worker, "epoch")["seconds"] for _ in range(epochs)]
    whole = time.monotonic() - began
    costs = call(executor, worker, "finish", save_as=None)
    executor.release(worker)
    return Measured(whole - sum(seconds[1:]), seconds[-1], costs["peak_memory_bytes"])
