"""One training, tracked: the recipe once."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import ExecutionRequest
from assay.experiments.run.execution import Execution
from assay.experiments.run.orphans import settle_orphaned_runs
from assay.experiments.run.preflight import confirm_device, run_preflight_check
from assay.experiments.run.progress import Display, SweepState
from assay.experiments.run.result import Outcome
from assay.experiments.run.session import Session, check_batch, is_surely_valid, prepared, supervise
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.workspace import StorePaths
from assay.models.seeding import trial_seed
from assay.search.artifacts import ModelStore
from assay.search.events import EpochEnded, TrialEnded
from assay.search.journal import Journal
from assay.search.objective import ParetoFront, Values
from assay.search.plan import FAIL_FAST
from assay.search.system.files import StudyLock
from assay.search.system.signals import StopRequest
from assay.search.system.urls import masked
from assay.search.workers.protocol import Trial


@dataclass(frozen=True)
class RunResult(Outcome):
    """What one training gave; `metrics` are those of its last epoch, then its costs."""

    experiment: str
    tracking_uri: str
    run_id: str | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    state: str
    error: str | None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"run_id": self.run_id, "params": dict(self.params), "metrics": dict(self.metrics)}


class SingleTrial:
    """A source of one trial: the configuration that was asked for."""

    def __init__(self, searched: Mapping[str, Any], seed: int) -> None:
        self._trial = Trial(number=0, searched=searched, seed=trial_seed(seed, 0), origin="run")
        self.asked = 0
        self.end: TrialEnded | None = None

    def ask(self) -> Trial:
        """Return the trial."""
        self.asked += 1
        return self._trial

    def done(self) -> int:
        """Return 1 once it was asked for: it is not tried twice."""
        return self.asked

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Never prune."""
        return False

    def tell(self, end: TrialEnded) -> None:
        """Keep the end."""
        self.end = end

    def retry(self, trial: Trial) -> None:
        """Leave that to whoever asked for it: no more than one run was."""

    def more(self) -> bool:
        """Say yes until it was asked for."""
        return self.asked == 0

    def admits(self, number: int, values: Values) -> bool:
        """Say yes: its model is kept."""
        return True

    def best_trials(self) -> Mapping[int, Values]:
        """Return its values once it is complete."""
        return (
            {}
            if self.end is None or self.end.state != "complete"
            else {self.end.trial: self.end.values}
        )


def run(
    experiment: Experiment,
    seed: int,
    request: ExecutionRequest,
    store_paths: StorePaths,
    display: Display,
    trial_timeout_seconds: float | None = None,
) -> RunResult:
    """Train the experiment's first baseline, or its family's defaults, with all cores.

    Args:
        experiment: what is trained.
        seed: where the training's seed follows from.
        request: on what.
        store_paths: where everything is read and written.
        display: told how it goes.
        trial_timeout_seconds: it has failed when its worker gives no sign of life for so long;
            None: never.

    Raises:
        RequestError: the request can't be met as it stands.
    """
    check_batch(experiment, store_paths)
    execution = Execution.choose(request, workers=1)
    configuration = experiment.default()
    experiment.settings(configuration)
    with ExitStack() as stack:
        executor = stack.enter_context(execution.executor())
        name = f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        tracker = MlflowTracker(
            store_paths.workspace.journal(name),
            store_paths.tracking_uri,
            store_paths.workspace.artifacts,
        )
        stack.callback(tracker.leave)
        tracker.start()
        on_the_way = f"{experiment.name}: the data are being made ready, the worker is starting"
        if surely := is_surely_valid(experiment, execution, store_paths):
            display.log(on_the_way)
        data = prepared(experiment, store_paths, display)
        execution = confirm_device(execution, executor)
        session = Session(experiment, data, execution, seed)
        run_preflight_check(session, configuration, executor, display)
        if not surely:
            display.log(on_the_way)
        stack.enter_context(
            StudyLock(store_paths.workspace.journal(name).with_suffix(".lock"), name)
        )
        stack.callback(tracker.leave)  # while the journal is still ours
        tracker.wait_until_open()
        settle_orphaned_runs(store_paths)
        stack.callback(display.on_close)
        curve: list[EpochEnded] = []
        trial, model_store = (
            SingleTrial(configuration, seed),
            ModelStore(store_paths.workspace.models(name)),
        )
        with Journal(store_paths.workspace.journal(name)) as journal, StopRequest() as stop:
            journal.subscribe(tracker.on_event)
            journal.subscribe(
                lambda event: curve.append(event) if isinstance(event, EpochEnded) else None
            )
            journal.subscribe(display.on_event)
            journal.append(session.opened(None, uuid.uuid4().hex))
            display.on_open(
                SweepState(
                    "run",
                    experiment,
                    execution,
                    done=0,
                    best_trials=ParetoFront(experiment.search.goals),
                    wanted=1,
                )
            )
            failure_policy = dataclasses.replace(
                FAIL_FAST, trial_timeout_seconds=trial_timeout_seconds
            )
            ending = supervise(
                session.plan(1, model_store, failure_policy=failure_policy),
                trial,
                executor,
                journal,
                stop,
            )
        display.on_close()
        untracked = tracker.close(ending.closing == "interrupted", display.log)
        if untracked is None:  # else whoever passes on the rest needs the model
            model_store.remove()
        return RunResult(
            experiment=experiment.name,
            tracking_uri=masked(store_paths.tracking_uri),
            run_id=tracker.run_id(0),
            params=experiment.hyperparameters(configuration),
            metrics={
                **(curve[-1].metrics if curve else {}),
                **(trial.end.metrics if trial.end is not None else {}),
            },
            state=trial.end.label if trial.end is not None else "failed: never begun",
            error=trial.end.error if trial.end is not None else None,
            untracked=untracked,
            ending=ending,
        )
