"""A dry run: what a sweep would do and take. Nothing is written that stays."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.data.lookup import locate_source
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs
from assay.experiments.run.preflight import (
    Preflight,
    call,
    check_custom_model,
    confirm_device,
    read_built_in_facts,
    wait_for_worker,
)
from assay.experiments.run.progress import Display
from assay.experiments.run.session import Session, check_batch_size, prepare_data
from assay.experiments.run.sweep import check_study_name, enqueue_known, make_study_request
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import OutOfMemory
from assay.models.files import temporary_folder
from assay.search.optuna_messages import quiet_optuna
from assay.search.samplers import get_sampler
from assay.search.workers.protocol import Executor, Trial

_SHOWN_TRIALS = 5
_MEASURED_TRIALS = 3
_MEASURED_EPOCHS = 2  # the first includes compilation


@dataclass(frozen=True)
class Forecast:
    """What a sweep would do and take. The attributes are the keys of `--json`.

    Attributes:
        study: name of the study.
        space: each hyperparameter's distribution as text, by name.
        configurations: number of configurations; None if it is infinite.
        first: origin and configuration of the first trials.
        trials: number of trials.
        workers: number of trials at the same time.
        seconds: wall time of all trials if none is pruned; None if nothing was measured.
        memory_bytes: memory of all workers together; None if nothing was measured.
        unmeasured: why nothing was measured; None if it was.
        preflight: what was understood of data and model, as in `Preflight.to_record`; None if the
            data are not there yet.
    """

    study: str
    space: Mapping[str, str]
    configurations: int | None
    first: Sequence[tuple[str, Mapping[str, Any]]]
    trials: int
    workers: int
    seconds: float | None = None
    memory_bytes: int | None = None
    unmeasured: str | None = None
    preflight: Mapping[str, Any] | None = None

    def with_first(self, trials: Sequence[Trial], **measured: Any) -> Forecast:
        """Return the forecast with its first trials, and what was measured with them."""
        first = [(trial.origin, trial.searched) for trial in trials]
        return dataclasses.replace(self, first=first, **measured)

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        first = [{"origin": origin, **searched} for origin, searched in self.first]
        return {**dataclasses.asdict(self), "first": first}


@dataclass(frozen=True)
class _TrialCost:
    """What a trial takes: seconds before its second epoch, seconds per further epoch, memory."""

    start_seconds: float
    epoch_seconds: float
    peak_memory_bytes: int


def dry_run(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths, display: Display
) -> Forecast:
    """Return what a sweep of a new study would do and take.

    Raises:
        RequestError: the sweep would be refused.
    """
    check_batch_size(experiment, store_paths)
    experiment.search.check(experiment.space, experiment.largest_value("epochs"))
    execution = Execution.choose(request.execution, request.workers, request.fuse)
    size = get_sampler(experiment.search.sampler).size(experiment.space)
    forecast = Forecast(
        study=check_study_name(experiment.name if request.study is None else request.study),
        space={name: str(parameter) for name, parameter in experiment.space.items()},
        configurations=size,
        first=[],
        trials=experiment.search.trials if size is None else min(size, experiment.search.trials),
        workers=execution.workers,
    )
    name = experiment.data.name
    source = locate_source(experiment.data, store_paths.data_dir, experiment.path.parent)
    if not source.is_available:
        shape = source.input_shape()
        assert shape is not None, f"{name} is published, so its shape is known before the download"
        inputs = Inputs(shape, len(source.classes))
        first = _first_trials(experiment, request, inputs, execution.workers)
        return forecast.with_first(
            first, unmeasured=f"{name} is not there yet: a sweep fetches it first"
        )
    try:
        return _measure(forecast, experiment, request, store_paths, execution, display)
    except OutOfMemory:
        first = _first_trials(experiment, request, None, execution.workers)
        return forecast.with_first(first, unmeasured="the first trials do not fit into memory")


def _first_trials(
    experiment: Experiment, request: SweepRequest, inputs: Inputs | None, workers: int
) -> list[Trial]:
    """Return the first trials of a new study of the experiment."""
    import optuna  # here, because --help needs none of it

    from assay.search.study import StudyTrials

    with quiet_optuna():
        trials = StudyTrials(
            optuna.storages.InMemoryStorage(),
            make_study_request("dry-run", experiment, request, {}),
        )
        enqueue_known(trials, experiment, request, inputs, workers)
        first: list[Trial] = []
        while len(first) < min(_SHOWN_TRIALS, experiment.search.trials) and trials.has_next():
            trial = trials.ask()
            assert trial is not None, "no other supervisor shares a study in memory"
            first.append(trial)
    return first


def _measure(
    forecast: Forecast,
    experiment: Experiment,
    request: SweepRequest,
    store_paths: StorePaths,
    execution: Execution,
    display: Display,
) -> Forecast:
    """Train two epochs of each of the first trials.

    They train one after the other, in a temporary home.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("dry-run"))
        temporary = dataclasses.replace(store_paths, workspace=Workspace(folder))
        # One worker, with the threads that it would have beside the others.
        one_worker = dataclasses.replace(execution, workers=1)
        executor = stack.enter_context(one_worker.executor(temporary.workspace))
        data = prepare_data(experiment, temporary)
        confirmed = confirm_device(execution, executor)
        session = Session(Preflight(experiment, data), confirmed, request.seed or 0)
        spec = session.first_spec(experiment.first_configuration())
        preflight = check_custom_model(session.preflight, spec, executor, display)
        preflight = read_built_in_facts(preflight, spec, executor)
        session = dataclasses.replace(session, preflight=preflight)
        first = _first_trials(session.experiment, request, session.inputs, execution.workers)
        preflight.show(display)  # only now: a request that is refused prints its one line alone
        costs = [_measure_trial(session, executor, trial) for trial in first[:_MEASURED_TRIALS]]
    epochs = [session.setup(trial).epochs for trial in first[:_MEASURED_TRIALS]]
    seconds = [
        cost.start_seconds + cost.epoch_seconds * (count - 1)
        for cost, count in zip(costs, epochs, strict=True)
    ]
    at_a_time = min(execution.workers, forecast.trials)
    return forecast.with_first(
        first,
        space={name: str(parameter) for name, parameter in session.experiment.space.items()},
        preflight=preflight.to_record(),
        seconds=statistics.mean(seconds) * forecast.trials / at_a_time,
        memory_bytes=max(cost.peak_memory_bytes for cost in costs) * execution.workers,
    )


def _measure_trial(session: Session, executor: Executor, trial: Trial) -> _TrialCost:
    worker = wait_for_worker(executor)
    began = time.monotonic()
    call(executor, worker, "begin", spec=session.setup(trial).spec)
    epochs = min(_MEASURED_EPOCHS, session.setup(trial).epochs)
    seconds = [call(executor, worker, "epoch")["seconds"] for _ in range(epochs)]
    total = time.monotonic() - began
    costs = call(executor, worker, "finish", save_as=None)
    executor.release(worker)
    return _TrialCost(total - sum(seconds[1:]), seconds[-1], costs["peak_memory_bytes"])
