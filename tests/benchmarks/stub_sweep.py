"""Sweep in which only the training is a stub.

The study, the journal, MLflow, the supervisor and the worker process are real.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment
from assay.experiments.console.live import LiveDisplay
from assay.experiments.run.execution import Execution
from assay.experiments.run.progress import SweepState
from assay.experiments.tracking.follower import MlflowTracker
from assay.models.seeding import trial_seed
from assay.search.artifacts import ModelStore
from assay.search.events import EpochEnded, Event, StudyOpened, TrialBegun, TrialEnded, to_record
from assay.search.journal import Journal
from assay.search.objective import ParetoFront
from assay.search.plan import SearchPlan, StudyRequest, TrialSetup
from assay.search.storage.opening import open_storage
from assay.search.storage.stored_values import SEED, STATE
from assay.search.study import StudyTrials
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.workers.local_executor import LocalExecutor, WorkerRecipe
from assay.search.workers.protocol import Trial
from tests.benchmarks.phases import wait_for
from tests.benchmarks.processes import ROOT

EPOCHS = 3
_TESTS = {"PYTHONPATH": str(ROOT)}


def experiment(epochs: int = EPOCHS) -> Experiment:
    """Return mnist-mlp with `epochs` epochs."""
    return resolve_experiment("mnist-mlp").with_fixed({"epochs": epochs})


class StubSweep:
    """Study in a folder, opened as a sweep opens it.

    The executor's workers determine what a trial trains.

    Args:
        folder: folder of all files.
        executor: executor of the workers.
        epochs: epochs per trial.
        pruner: replacement for the pruner of mnist-mlp.
        work: further entries of every trial specification.
        tracked: whether results go to MLflow.
    """

    def __init__(
        self,
        folder: Path,
        executor: LocalExecutor,
        epochs: int = EPOCHS,
        pruner: str | None = None,
        work: Mapping[str, Any] | None = None,
        tracked: bool = True,
    ) -> None:
        self._experiment, self._epochs = experiment(epochs).with_search(pruner=pruner), epochs
        self._work = dict(work or {})
        self._executor = executor
        self._model_store = ModelStore(folder / "models")
        self._random = random.Random(0)
        self.trials = StudyTrials(
            open_storage(f"sqlite:///{folder / 'optuna.db'}"),
            StudyRequest(
                name="stub",
                space=self._experiment.space,
                objectives=self._experiment.search.goals,
                fingerprint={},
                sampler="tpe",
                pruner=self._experiment.search.pruner,
                epochs=epochs,
                seed=0,
            ),
        )
        self.journal = Journal(folder / "journal.jsonl")
        self.tracker: MlflowTracker | None = None
        if tracked:
            self.tracker = MlflowTracker(
                self.journal.path, f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts"
            )
            self.tracker.start()
            self.tracker.wait_until_open()
            self.journal.subscribe(self.tracker.on_event)
        self.journal.append(self._opened())
        self._display = LiveDisplay(
            Console(file=(folder / "screen").open("w"), force_terminal=True, width=140)
        )
        self.journal.subscribe(self._on_event)

    def run(self, trials: int) -> list[float]:
        """Run `trials` more trials; return the seconds between their ends."""
        plan = SearchPlan(
            trials=self.trials.count_done() + trials,
            objectives=self._experiment.search.goals,
            setup=lambda trial: TrialSetup(
                {"name": trial.number, "curve": self._curve(trial), **self._work},
                self._experiment.hyperparameters(trial.searched),
                self._epochs,
            ),
            model_store=self._model_store,
        )
        # The display captures the output of this process, so it is open only while trials run.
        self._display.on_open(self._state())
        self._ends = [time.perf_counter()]
        Supervisor(plan, self.trials, self._executor, self.journal, StopRequest()).run()
        self._display.on_close()
        return [end - before for before, end in itertools.pairwise(self._ends)]

    def _on_event(self, event: Event) -> None:
        self._display.on_event(event)
        if isinstance(event, TrialEnded):
            self._ends.append(time.perf_counter())

    def wait_for_mlflow(self) -> None:
        """Wait until MLflow has everything in the journal."""
        cursor = self.journal.path.with_suffix(".tracked")
        size = self.journal.path.stat().st_size
        while not cursor.exists() or json.loads(cursor.read_text())["offset"] < size:
            time.sleep(0.001)

    def close(self) -> float:
        """Close the sweep; return the seconds until MLflow had everything."""
        began = time.perf_counter()
        if self.tracker is not None:
            self.tracker.close(hurry=False)
        self.journal.__exit__(None, None, None)
        return time.perf_counter() - began

    def _opened(self) -> StudyOpened:
        return StudyOpened(
            study="stub",
            study_id=self.trials.study_id,
            experiment="stub",
            provenance={
                "assay.backend": "none",
                "assay.objective": str(self._experiment.search.goals),
            },
            text=self._experiment.text,
            data={"input_shape": [28, 28, 1], "outputs": 10, "classes": []},
        )

    def _state(self) -> SweepState:
        best_trials = ParetoFront(self._experiment.search.goals)
        execution = Execution(backend="none", device="cpu", workers=1, threads=1)
        return SweepState(
            "stub",
            self._experiment,
            execution,
            self.trials.count_done(),
            best_trials,
            wanted=10_000,
        )

    def _curve(self, trial: Trial) -> list[float]:
        """Return the accuracies of a trial; 32 hidden units are best."""
        final = 1 / (1 + abs(trial.searched["hidden_units"] - 32)) + self._random.random() / 10
        return [final * (epoch + 1) / self._epochs for epoch in range(self._epochs)]


@contextmanager
def stub_worker(
    trainer: str = "tests.helpers.stub_trainer:StubTrainer", workers: int = 1
) -> Iterator[LocalExecutor]:
    """Start workers, wait until they are ready, and close them on exit.

    The default trainer takes no time to train.
    """
    recipe = WorkerRecipe("tests.helpers.stub_trainer:preload", trainer, {"threads": 1}, _TESTS)
    executor = LocalExecutor(recipe, [{}] * workers)
    executor.start()
    try:
        wait_for(executor, workers)
        yield executor
    finally:
        executor.close()


def fill(folder: Path, trials: int) -> None:
    """Add complete random trials to the study and the journal.

    The stores in the folder then look as if the trials had been trained.
    """
    base = experiment()
    study = optuna.load_study(
        study_name="stub", storage=optuna.storages.RDBStorage(f"sqlite:///{folder / 'optuna.db'}")
    )
    first = len(study.get_trials(deepcopy=False))
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=first))
    distributions = {name: parameter.distribution for name, parameter in base.space.items()}
    with (folder / "journal.jsonl").open("a") as journal:
        for number in range(first, first + trials):
            params = drawn.ask(distributions).params
            curve = [0.1 * (epoch + 1) / EPOCHS + number % 997 / 5000 for epoch in range(EPOCHS)]
            seed = trial_seed(0, number)
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.COMPLETE,
                    value=curve[-1],
                    params=params,
                    distributions=distributions,
                    user_attrs={SEED: seed, STATE: "complete"},
                    intermediate_values=dict(enumerate(curve, 1)),
                )
            )
            searched = base.space.decode(params)
            for event in _story(number, seed, base.hyperparameters(searched), searched, curve):
                journal.write(json.dumps(to_record(event)) + "\n")


def _story(
    number: int,
    seed: int,
    params: Mapping[str, Any],
    searched: Mapping[str, Any],
    curve: Sequence[float],
) -> Iterator[Event]:
    yield TrialBegun(trial=number, seed=seed, params=params, searched=searched, origin="tpe")
    for epoch, value in enumerate(curve, 1):
        yield EpochEnded(
            trial=number,
            epoch=epoch,
            metrics={"loss": 1 - value, "val_accuracy": value},
            seconds=0.001,
        )
    costs = {
        "parameters": 26,
        "peak_memory_bytes": 1000,
        "train_seconds": 0.002,
        "epoch_seconds": 0.001,
    }
    yield TrialEnded(trial=number, state="complete", values=(curve[-1],), metrics=costs)
