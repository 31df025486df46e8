"""A single training, tracked: the recipe once.

It goes through the stages of a sweep (see `experiments/run/sweep.py`) without a study: Optuna is
not needed, and one trial comes from `SingleTrial`.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import RunRequest
from assay.experiments.run.execution import Execution
from assay.experiments.run.orphans import settle_orphaned_runs
from assay.experiments.run.preflight import (
    Preflight,
    check_custom_model,
    confirm_device,
    read_built_in_facts,
)
from assay.experiments.run.progress import Display, SweepState, read_restored_epoch
from assay.experiments.run.result import RunResult, RunStatus
from assay.experiments.run.session import (
    Session,
    check_batch_size,
    is_surely_valid,
    prepare_data,
    start_processes,
    supervise,
)
from assay.experiments.run.study_locks import update_home_addresses
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.terminal_text import escape_line
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.schema import COMMAND_TAG, SEED_OPTION_TAG
from assay.experiments.workspace import StorePaths
from assay.models.seeding import trial_seed
from assay.search.artifacts import ModelStore
from assay.search.events import EpochEnded, Event, TrialEnded
from assay.search.failure_policy import FAIL_FAST
from assay.search.journal import Journal
from assay.search.objective import ParetoFront, Values
from assay.search.space import Configuration
from assay.search.system.files import StudyLock
from assay.search.system.signals import StopRequest
from assay.search.system.urls import mask_secrets
from assay.search.workers.protocol import Executor, Trial
from assay.search.workers.vmap_lanes import LaneExecutor

_ID_CHARACTERS = 8
_MAX_CHANGES_CHARACTERS = 100


class SingleTrial:
    """A source of one trial.

    Args:
        searched: its configuration.
        seed: random seed of the training.
        origin: where the configuration comes from.
        last_epoch: the epoch after which it is pruned; None: it trains all.

    Attributes:
        trial: the trial.
        end: how the trial ended; None while it has not.
    """

    def __init__(
        self,
        searched: Mapping[str, Any],
        seed: int,
        origin: str = "run",
        last_epoch: int | None = None,
    ) -> None:
        self.trial = Trial(number=0, searched=searched, seed=seed, origin=origin)
        self._last_epoch = last_epoch
        self._asked = 0
        self.end: TrialEnded | None = None

    def ask(self) -> Trial:
        """Return the trial."""
        self._asked += 1
        return self.trial

    def count_done(self) -> int:
        """Return 1 once the trial was asked for: it is not tried twice."""
        return self._asked

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Return whether it ends here, as the trial that it repeats was pruned here."""
        return self._last_epoch is not None and epoch >= self._last_epoch

    def tell(self, end: TrialEnded) -> None:
        """Keep the end."""
        self.end = end

    def enqueue_retry(self, trial: Trial) -> None:
        """Do nothing: the user asked for one run."""

    def has_next(self) -> bool:
        """Return whether the trial was not asked for yet."""
        return self._asked == 0

    def admits(self, number: int, values: Values) -> bool:
        """Return True: its model is kept."""
        return True

    def best_trials(self) -> Mapping[int, Values]:
        """Return its values once it is complete."""
        if self.end is None or self.end.state != "complete":
            return {}
        return {self.end.trial: self.end.values}


def run(
    experiment: Experiment,
    request: RunRequest,
    store_paths: StorePaths,
    display: Display,
    on_ready: Callable[[Session], object] = lambda session: None,
) -> RunResult:
    """Train the experiment's first baseline, or its family's defaults, with all cores.

    Args:
        experiment: what is trained.
        request: seed, execution and time-out.
        store_paths: home and MLflow's store.
        display: shows the progress.
        on_ready: called before anything is trained, when all is known of data and model.

    Raises:
        RequestError: the request can't be met.
    """
    check_batch_size(experiment, store_paths)
    lanes = () if request.repeated is None else request.repeated.lanes
    execution = Execution.choose(request.execution, workers=1, fuse=max(lanes, default=0))
    configuration = experiment.default_configuration()
    experiment.build_settings(configuration)
    name = f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    with ExitStack() as stack:
        executor, tracker = start_processes(stack, experiment, execution, store_paths, name)
        session = _prepare(experiment, request, store_paths, display, execution, executor)
        _open_store(stack, store_paths, name, tracker, display)
        spec = session.first_spec(configuration)
        session = replace(session, preflight=read_built_in_facts(session.preflight, spec, executor))
        session.show(display)
        for note in () if request.repeated is None else request.repeated.notes(session):
            display.log(note)
        on_ready(session)
        trial = make_trial(configuration, request)
        model_store = ModelStore(store_paths.workspace.models(name))
        status, history = _train(
            session,
            trial,
            LaneExecutor(executor, 1) if lanes else executor,
            store_paths.workspace.journal(name),
            tracker,
            display,
            model_store,
            request,
        )
        display.on_close()
        untracked = tracker.close(status.closing == "interrupted", display.log)
        if untracked is None:  # else the command that passes on the rest needs the model
            model_store.delete()
        return _result(
            session, replace(status, untracked=untracked), trial, history, tracker, store_paths
        )


def make_trial(configuration: Configuration, request: RunRequest) -> SingleTrial:
    """Return the one trial, with a seed of its own or that of the training that it repeats."""
    seed, repeated = trial_seed(request.seed, 0), request.repeated
    if repeated is None:
        return SingleTrial(configuration, seed)
    return SingleTrial(
        configuration,
        seed if repeated.seed is None else repeated.seed,
        repeated.origin,
        repeated.last_epoch,
    )


def name_run(experiment: Experiment, request: RunRequest, started_seconds: float) -> str:
    """Return the name of a single run in MLflow: its experiment, what differs, when it began.

    Args:
        experiment: with everything that was set.
        request: of the run.
        started_seconds: since the epoch.

    Example:
        >>> name_run(experiment, RunRequest(), time.time())
        'mnist-mlp hidden_units=64 20261127-140211'
    """
    differs = [f"{name}={value}" for name, value in experiment.changed_values().items()]
    if request.repeated is not None:
        # "like RUN_ID" or "reproduction of RUN_ID"; the beginning of an id tells runs apart.
        *words, run_id = request.repeated.origin.split()
        differs = [" ".join([*words, run_id[:_ID_CHARACTERS]]), *differs]
    if request.seed:
        differs.append(f"seed={request.seed}")
    changes = escape_line(" ".join(differs))
    if len(changes) > _MAX_CHANGES_CHARACTERS:
        changes = f"{changes[: _MAX_CHANGES_CHARACTERS - 1]}…"
    started = time.strftime("%Y%m%d-%H%M%S", time.localtime(started_seconds))
    return " ".join(part for part in (experiment.name, changes, started) if part)


def make_session(preflight: Preflight, execution: Execution, request: RunRequest) -> Session:
    """Return the session, with what is recorded of the request."""
    repeated = request.repeated
    seed_option = {SEED_OPTION_TAG: str(request.seed)}
    if repeated is None:
        tags, order_seed = seed_option, None
    else:
        # Without --seed, that of the training is recorded alone.
        tags = {**({} if repeated.seed is not None else seed_option), **repeated.tags}
        order_seed = repeated.order_seed
    if request.command:
        tags[COMMAND_TAG] = request.command
    lanes = () if repeated is None else repeated.lanes
    size = max(lanes, default=1)
    batching = None if order_seed is None else TrialBatching(size, order_seed)
    return Session(preflight, execution, request.seed, batching, tags=tags, lanes=lanes)


def _prepare(
    experiment: Experiment,
    request: RunRequest,
    store_paths: StorePaths,
    display: Display,
    execution: Execution,
    executor: Executor,
) -> Session:
    """Prepare what the request can still fail on: the data, the device, the model.

    Raises:
        RequestError: one of them can't be had.
    """
    under_way = f"{experiment.name}: preparing the data and starting the worker"
    if is_valid := is_surely_valid(experiment, execution, store_paths):
        display.log(under_way)
    data = prepare_data(experiment, store_paths)
    execution = confirm_device(execution, executor)
    session = make_session(Preflight(experiment, data), execution, request)
    spec = session.first_spec(experiment.default_configuration())
    preflight = check_custom_model(session.preflight, spec, executor, display)
    if not is_valid:
        display.log(under_way)
    return replace(session, preflight=preflight)


def _open_store(
    stack: ExitStack,
    store_paths: StorePaths,
    name: str,
    tracker: MlflowTracker,
    display: Display,
) -> None:
    """Lock the run, and let the tracker write.

    Raises:
        RequestError: MLflow's store can't be reached.
    """
    lock = store_paths.workspace.journal(name).with_suffix(".lock")
    stack.enter_context(StudyLock(lock, name))
    # Registered again, after the lock: the tracker must stop before the lock is released.
    stack.callback(tracker.shut_down)
    update_home_addresses(store_paths.workspace, display)
    tracker.wait_until_open()
    settle_orphaned_runs(store_paths)
    stack.callback(display.on_close)


def _train(
    session: Session,
    trial: SingleTrial,
    executor: Executor,
    journal_file: Path,
    tracker: MlflowTracker,
    display: Display,
    model_store: ModelStore,
    request: RunRequest,
) -> tuple[RunStatus, list[EpochEnded]]:
    """Train; return how it ended, and its epochs."""
    history: list[EpochEnded] = []

    def keep_epoch(event: Event) -> None:
        if isinstance(event, EpochEnded):
            history.append(event)

    experiment = session.experiment
    with Journal(journal_file) as journal, StopRequest() as stop:
        for listener in (tracker.on_event, keep_epoch, display.on_event):
            journal.subscribe(listener)
        home = journal_file.parents[1]
        name = name_run(experiment, request, time.time())
        journal.append(session.study_opened(None, uuid.uuid4().hex, home, name=name))
        front = ParetoFront(experiment.search.goals)
        display.on_open(
            SweepState("run", experiment, session.execution, done=0, best_trials=front, wanted=1)
        )
        policy = replace(FAIL_FAST, trial_timeout_seconds=request.trial_timeout_seconds)
        plan = session.plan(1, model_store, failure_policy=policy)
        return supervise(plan, trial, executor, journal, stop), history


def _result(
    session: Session,
    status: RunStatus,
    trial: SingleTrial,
    history: Sequence[EpochEnded],
    tracker: MlflowTracker,
    store_paths: StorePaths,
) -> RunResult:
    end = trial.end
    costs = {} if end is None else end.metrics
    # The network that is kept: with early stopping that of an earlier epoch than the last.
    restored = read_restored_epoch(costs)
    kept = [epoch for epoch in history if restored is None or epoch.epoch == restored]
    metrics = kept[-1].metrics if kept else {}
    return RunResult(
        status=status,
        experiment=session.experiment.name,
        tracking_uri=mask_secrets(store_paths.tracking_uri),
        run_id=tracker.find_run_id(0),
        params=session.hyperparameters(trial.trial),
        metrics={**metrics, **costs},
        state="failed: never begun" if end is None else end.label,
        error=None if end is None else end.error,
        history=history,
        model=tracker.find_model(0, on_parent=False).address,
        preflight=session.preflight.to_record(),
    )
