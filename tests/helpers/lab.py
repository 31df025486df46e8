"""A supervisor with real workers, an Optuna study and a journal; training is a stub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assay.search.artifacts import ModelStore
from assay.search.events import Event
from assay.search.journal import Journal, read_events
from assay.search.objective import Objectives
from assay.search.plan import FailurePolicy, SearchPlan, StudyRequest, TrialSetup
from assay.search.recovery import enqueue_follow_ups, recover
from assay.search.space import read_space
from assay.search.storage.opening import open_storage
from assay.search.study import StudyTrials
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.workers.local_executor import LocalExecutor, WorkerRecipe
from assay.search.workers.protocol import Executor, Trial
from tests.helpers.paths import ROOT

FIND_TESTS = {"PYTHONPATH": str(ROOT)}
"""Lets workers import the stub from any current folder."""

SPACE = {"units": {"low": 1, "high": 1000}, "kind": ["a", "b"]}
Script = Callable[[Trial], Mapping[str, Any]]


@contextmanager
def stub_workers(count: int, **options: Any) -> Iterator[LocalExecutor]:
    recipe = WorkerRecipe(
        "tests.helpers.stub_trainer:preload",
        "tests.helpers.stub_trainer:StubTrainer",
        {"threads": 1},
        FIND_TESTS,
    )
    executor = LocalExecutor(recipe, [{}] * count, **options)
    executor.start()
    try:
        yield executor
    finally:
        executor.close()


class Lab:
    """A study in a folder, with the parts to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_store = ModelStore(folder / "models")
        self.journal_file = folder / "journal.jsonl"

    def study(
        self,
        pruner: str = "none",
        seed: int | None = None,
        space: Any = None,
        epochs: int = 4,
        objectives: Sequence[str] = ("maximize val_accuracy",),
        sampler: str = "random",
    ) -> StudyTrials:
        space = read_space(SPACE if space is None else space)
        return StudyTrials(
            open_storage(f"sqlite:///{self.folder / 'optuna.db'}"),
            StudyRequest(
                name="study",
                space=space,
                objectives=Objectives.read(objectives),
                fingerprint={"space": sorted(space), "epochs": epochs},
                sampler=sampler,
                pruner=pruner,
                epochs=epochs,
                seed=seed,
            ),
        )

    def run(
        self,
        trials: int,
        script: Script | None = None,
        workers: int = 2,
        study: StudyTrials | None = None,
        executor: Executor | None = None,
        stop: StopRequest | None = None,
        objectives: Sequence[str] = ("maximize val_accuracy",),
        timeout_seconds: float | None = None,
        **failure_policy: Any,
    ) -> StudyTrials:
        """Run until this many trials are done; `script` gives the spec of each."""
        script = script or (
            lambda trial: {"curve": [0.1, 0.2, 0.3, trial.searched["units"] / 1000]}
        )
        study = study or self.study(objectives=objectives)
        whole = SearchPlan(
            trials=trials,
            objectives=Objectives.read(objectives),
            setup=lambda trial: TrialSetup(
                {"name": trial.number, **script(trial)}, dict(trial.searched), epochs=4
            ),
            model_store=self.model_store,
            timeout_seconds=timeout_seconds,
            failure_policy=FailurePolicy(**failure_policy),
        )
        with Journal(self.journal_file) as journal, stub_workers(workers) as own:
            Supervisor(
                whole, study, executor or own, journal, StopRequest() if stop is None else stop
            ).run()
        return study

    def try_again(self, study: StudyTrials, retries: int) -> int:
        """Recover the study, enqueue retries, and return their number."""
        with Journal(self.journal_file) as journal:
            recover(study, journal, lambda trial: dict(trial.searched))
        return enqueue_follow_ups(study, FailurePolicy(retries=retries))

    def events(self) -> list[Event]:
        return [event for event, _ in read_events(self.journal_file)]
