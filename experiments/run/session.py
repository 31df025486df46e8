"""What a sweep and a single run have in common: an experiment with its data at hand, and workers to
train on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.data import GENERATED, KNOWN
from assay.experiments.data.preparation import PreparedData, start_preparing
from assay.experiments.data.registry import input_shape, locate, training_images
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs
from assay.experiments.run.progress import Display
from assay.experiments.run.provenance import provenance
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.artifacts import Checkpoints, ModelStore, closing_of
from assay.search.events import Closing, StudyOpened
from assay.search.journal import Journal
from assay.search.plan import FAIL_FAST, FailurePolicy, Plan
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.workers.protocol import Executor, Trial, TrialSource


@dataclass(frozen=True)
class Session:
    """An experiment with its data at hand: makes of a trial the work for a worker, and the words
    for the records.
    """

    experiment: Experiment
    data: PreparedData
    execution: Execution
    seed: int
    batching: TrialBatching | None = None
    checkpoints: Checkpoints | None = None

    def opened(self, study: str | None, study_id: str, supervisor: str = "") -> StudyOpened:
        """Return the event that opens the study, or with None a single run."""
        scale = self.experiment.data.scale
        return StudyOpened(
            study=study,
            study_id=study_id,
            supervisor=supervisor,
            experiment=self.experiment.name,
            provenance=provenance(
                self.experiment,
                self.data,
                self.execution,
                self.seed,
                self.batching,
                searching=study is not None,
            ),
            text=self.experiment.text,
            data={
                "name": self.data.name,
                "digest": self.data.digest,
                "task": self.data.task,
                "input_shape": list(self.data.input_shape),
                "outputs": self.data.outputs,
                "classes": list(self.data.classes),
                "scale": scale,
                "factor": list(self.data.scales[scale].factor),
                "offset": list(self.data.scales[scale].offset),
            },
        )

    @property
    def inputs(self) -> Inputs:
        """What one example looks like."""
        return Inputs(self.data.input_shape, self.data.outputs)

    def trial_spec(self, trial: Trial) -> Mapping[str, Any]:
        """Return the plain configuration that a worker's `begin` takes."""
        model, train = self.experiment.settings(trial.searched)
        return {
            "seed": trial.seed,
            **({} if self.batching is None else {"order_seed": self.batching.order_seed}),
            "task": self.experiment.task,
            "family": self.experiment.family.name,
            "folders": [str(self.experiment.path.parent.absolute())],
            "model": model.model_dump(),
            "train": train.model_dump(),
            "data": {"folder": str(self.data.folder), "scale": self.experiment.data.scale},
            **(
                {}
                if self.checkpoints is None
                else {"checkpoint": str(self.checkpoints.path(trial))}
            ),
        }

    def hyperparameters(self, trial: Trial) -> Mapping[str, Any]:
        """Return every hyperparameter of a trial by name, searched or fixed."""
        return self.experiment.hyperparameters(trial.searched)

    def plan(
        self,
        trials: int,
        model_store: ModelStore,
        timeout_seconds: float | None = None,
        failure_policy: FailurePolicy = FAIL_FAST,
    ) -> Plan:
        """Return what a supervisor is to do."""
        return Plan(
            trials=trials,
            epochs=self.epochs,
            objectives=self.experiment.search.goals,
            trial_spec=self.trial_spec,
            hyperparameters=self.hyperparameters,
            model_store=model_store,
            timeout_seconds=timeout_seconds,
            failure_policy=failure_policy,
            checkpoints=self.checkpoints,
        )

    def epochs(self, trial: Trial) -> int:
        """Return how many epochs a trial trains."""
        return self.experiment.settings(trial.searched)[1].epochs


def check_batch(experiment: Experiment, store_paths: StorePaths) -> None:
    """See that no batch is larger than what there is to train on, before anything is prepared.

    Raises:
        RequestError: one is.
    """
    available = training_images(experiment.data, store_paths.data_dir, experiment.path.parent)
    largest = experiment.largest("batch_size")
    if largest > available:
        raise RequestError(
            f"batch_size: must not exceed the {available} images of the training split; received {largest}."
        )


def is_surely_valid(experiment: Experiment, execution: Execution, store_paths: StorePaths) -> bool:
    """Return whether no data, network, card or storage can refuse the request any more, before any
    is looked at.

    Raises:
        RequestError: it is surely wrong: the data suit no network of the experiment, or home can't
            be written.
    """
    store_paths.workspace.check()
    base = experiment.path.parent
    if (
        experiment.data.name not in {*KNOWN, *GENERATED}
        or not locate(experiment.data, store_paths.data_dir, base).is_there
    ):
        return False
    shape = input_shape(experiment.data, base)
    assert shape is not None, "of known sets and of drawn points it is"
    experiment.check_input(shape)
    own_storage = (
        store_paths.storage == store_paths.workspace.storage
    )  # any other may turn out not to be there
    return own_storage and experiment.family.factory is None and not execution.gpus


def prepared(
    experiment: Experiment,
    store_paths: StorePaths,
    display: Display,
    meanwhile: Callable[[], object] = lambda: None,
) -> PreparedData:
    """Wait for the experiment's data, pass on its warnings, and see that home can be written.

    Args:
        experiment: whose data.
        store_paths: where they are, and where they go.
        display: told of what the user should know.
        meanwhile: what else there is to do while another process prepares them.

    Raises:
        RequestError: the data can't be had or suit no network of the experiment, or home can't be
            written.
    """
    base = experiment.path.parent
    with start_preparing(
        experiment.data, store_paths.workspace.path, store_paths.data_dir, base, experiment.task
    ) as preparation:
        meanwhile()
        data = preparation.result()
    for warning in data.warnings:
        display.log(f"warning: {warning}")
    experiment.check_input(data.input_shape)
    store_paths.workspace.create()
    return data


@dataclass(frozen=True)
class Ending:
    """How a search came to its end; `failure` says why it stopped, if the work failed."""

    closing: Closing
    failure: str | None
    exit_code: int


def supervise(
    plan: Plan,
    trials: TrialSource,
    executor: Executor,
    journal: Journal,
    stop: StopRequest,
    stopping: Callable[[], object] = lambda: None,
) -> Ending:
    """Have the plan carried out, end the workers, and close the study in the journal, whatever
    happens.

    Args:
        plan: what is to be done.
        trials: where trials come from.
        executor: of the workers.
        journal: of the study.
        stop: looked at all the time.
        stopping: called as soon as a request to stop was seen, before all that is still to be put
            away.
    """
    ending = Ending("failed", None, 1)
    try:
        Supervisor(plan, trials, executor, journal, stop).run()
        if stop:
            stopping()
        ending = Ending("finished", None, 0)
    except SearchError as error:
        ending = Ending("failed", str(error), 1)
    except BaseException:
        with suppress(Exception):  # what went wrong says more, and the next start settles the rest
            journal.append(closing_of(ending.closing, trials.best_trials(), plan.model_store))
        raise
    finally:
        executor.close()
    if stop:
        ending = Ending("interrupted", None, stop.exit_code)
    try:
        journal.append(closing_of(ending.closing, trials.best_trials(), plan.model_store))
    except SearchError as error:  # of two failures the first says more
        ending = Ending(ending.closing, ending.failure or str(error), ending.exit_code or 1)
    return ending
