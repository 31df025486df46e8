"""What a sweep and a single training share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.recorded import record_experiment
from assay.experiments.data.lookup import count_training_images, locate_source, read_input_shape
from assay.experiments.data.preparation import PreparedData, start_preparing
from assay.experiments.data.raw_inputs import describe_raw_inputs
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs
from assay.experiments.run.preflight import Preflight
from assay.experiments.run.progress import Display
from assay.experiments.run.provenance import list_packages, provenance, read_code
from assay.experiments.run.result import RunStatus
from assay.experiments.run.study_locks import model_store_of
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.models.settings import Settings
from assay.models.training.config import TrainSettings
from assay.search.artifacts import Checkpoints, ModelStore, study_closed_event
from assay.search.events import Closing, StudyOpened
from assay.search.failure_policy import FAIL_FAST, FailurePolicy
from assay.search.journal import Journal
from assay.search.plan import SearchPlan, TrialSetup
from assay.search.space import Configuration
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.workers.local_executor import LocalExecutor
from assay.search.workers.protocol import Executor, Trial, TrialSource

_DETERMINISTIC = (
    "  note:     deterministic operations, one trial at a time: training can take longer; "
    "--dry-run, with and without --deterministic, measures how much"
)


@dataclass(frozen=True)
class Session:
    """An experiment with its data and execution.

    It makes the setup of each trial.

    Attributes:
        preflight: experiment and data, and what was found out about them.
        execution: what trials train on.
        seed: random seed of the study, or of the single training.
        batching: how trials are trained together; None if each trains by itself.
        checkpoints: where trials are saved after each epoch; None if they are not.
        tags: further ones of the study's run, or of the single run.
        lanes: of a trial that repeats one of a trial batch, the size of the batch in each epoch.
    """

    preflight: Preflight
    execution: Execution
    seed: int
    batching: TrialBatching | None = None
    checkpoints: Checkpoints | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lanes: tuple[int, ...] = ()

    @property
    def experiment(self) -> Experiment:
        """What is trained, as the preflight check has completed it."""
        return self.preflight.experiment

    @property
    def data(self) -> PreparedData:
        """Its data, prepared on the disk."""
        return self.preflight.data

    def show(self, display: Display) -> None:
        """Show what was understood, and what the execution costs."""
        self.preflight.show(display)
        if self.execution.deterministic:
            display.log(_DETERMINISTIC)

    def study_opened(
        self, study: str | None, study_id: str, home: Path, supervisor: str = "", name: str = ""
    ) -> StudyOpened:
        """Return the event that opens a study; with `study=None`, a single training.

        Args:
            study: name of the study.
            study_id: tells it from others of the same name.
            home: the folder that the journal is in.
            supervisor: id of this supervisor, in a storage that several share.
            name: of a single training's run.
        """
        scale = self.experiment.data.scale
        raw_scale = self.data.raw_scale(scale)
        offset = self.data.target_offset if self.preflight.is_centred else None
        return StudyOpened(
            study=study,
            study_id=study_id,
            supervisor=supervisor,
            experiment=self.experiment.name,
            provenance={
                **provenance(
                    self.preflight,
                    self.execution,
                    self.seed,
                    self.batching,
                    searching=study is not None,
                ),
                **self.tags,
            },
            text=self.experiment.text,
            resolved=record_experiment(self.experiment, home),
            code=read_code(self.preflight),
            packages=list_packages(),
            name=name,
            fixed={} if study is None else self.fixed_hyperparameters(),
            searched=() if study is None else tuple(self.experiment.space),
            data={
                "name": self.data.name,
                "digest": self.data.digest,
                "task": self.data.task,
                "input_shape": list(self.data.input_shape),
                "outputs": self.data.outputs,
                "classes": list(self.data.classes),
                "scale": scale,
                "factor": list(raw_scale.factor),
                "offset": list(raw_scale.offset),
                "target_offset": None if offset is None else list(offset),
                "train_examples": self.data.train_images,
                "validation_examples": self.data.validation_images,
                "test_examples": self.data.test_images,
                "majority_share": self.data.majority_share,
                "constant_errors": dict(self.data.constant_errors),
                "raw": describe_raw_inputs(self.data, self.experiment.data, scale),
            },
        )

    @property
    def inputs(self) -> Inputs:
        """Shape of one example, and number of outputs."""
        return Inputs(self.data.input_shape, self.data.outputs)

    def setup(self, trial: Trial) -> TrialSetup:
        """Return what a trial is trained with."""
        model, train = self.experiment.build_settings(trial.searched)
        spec = self._trial_spec(trial, model, train)
        return TrialSetup(spec, self.hyperparameters(trial), train.epochs)

    def _trial_spec(self, trial: Trial, model: Settings, train: TrainSettings) -> Mapping[str, Any]:
        spec: dict[str, Any] = {
            "seed": trial.seed,
            "task": self.experiment.task,
            "family": self.experiment.family.name,
            "folders": [str(self.experiment.path.parent.absolute())],
            "model": model.model_dump(),
            "train": train.model_dump(),
            "data": {"folder": str(self.data.folder), "scale": self.experiment.data.scale},
        }
        if self.preflight.model is not None and self.preflight.model.code:
            spec["code"] = dict(self.preflight.model.code)
        if not self.preflight.is_centred:
            spec["data"]["centred"] = False
        if self.batching is not None:
            spec["order_seed"] = self.batching.order_seed
        if self.lanes:
            spec["lanes"] = list(self.lanes)
        if self.checkpoints is not None:
            spec["checkpoint"] = str(self.checkpoints.path(trial))
        return spec

    def first_spec(self, configuration: Configuration) -> Mapping[str, Any]:
        """Return the specification of a trial of this configuration, for the preflight check."""
        trial = Trial(number=0, searched=configuration, seed=self.seed, origin="preflight check")
        return self.setup(trial).spec

    def hyperparameters(self, trial: Trial) -> Mapping[str, Any]:
        """Return every hyperparameter of a trial by name, searched or fixed.

        The loss of a model that comes compiled is its own.
        """
        return self._with_own_loss(self.experiment.hyperparameters(trial.searched))

    def fixed_hyperparameters(self) -> Mapping[str, Any]:
        """Return every hyperparameter that all trials have with the same value, by name.

        What only some trials have, such as a setting of one of several optimizers, is left out.
        """
        fixed = self.experiment.fixed_hyperparameters()
        for configuration in self.experiment.space.corners():
            values = self.experiment.hyperparameters(configuration)
            fixed = {
                name: value
                for name, value in fixed.items()
                if name in values and values[name] == value
            }
        return self._with_own_loss(fixed)

    def _with_own_loss(self, values: dict[str, Any]) -> Mapping[str, Any]:
        model = self.preflight.model
        if model is not None and model.came_compiled and "loss" in values:
            values["loss"] = model.loss
        return values

    def plan(
        self,
        trials: int,
        model_store: ModelStore,
        timeout_seconds: float | None = None,
        failure_policy: FailurePolicy = FAIL_FAST,
    ) -> SearchPlan:
        """Return what a supervisor is to do."""
        return SearchPlan(
            trials=trials,
            objectives=self.experiment.search.goals,
            setup=self.setup,
            model_store=model_store,
            timeout_seconds=timeout_seconds,
            failure_policy=failure_policy,
            checkpoints=self.checkpoints,
        )


def check_batch_size(experiment: Experiment, store_paths: StorePaths) -> None:
    """Check that no batch is larger than the training split, before anything is prepared.

    Raises:
        RequestError: one is.
    """
    available = count_training_images(experiment.data, store_paths.data_dir, experiment.path.parent)
    largest = experiment.largest_value("batch_size")
    if largest > available:
        raise RequestError(
            f"batch_size: must not exceed the {available} images of the training split; "
            f"received {largest}."
        )


def start_processes(
    stack: ExitStack,
    experiment: Experiment,
    execution: Execution,
    store_paths: StorePaths,
    journal_name: str,
) -> tuple[LocalExecutor, MlflowTracker]:
    """Start the workers and the tracker; both take seconds, in which the caller goes on.

    Leaving the stack ends both. The tracker writes nothing before `wait_until_open`.

    Args:
        stack: on which they live.
        experiment: what is trained.
        execution: what trials train on.
        store_paths: where the tracker finds the journal and the store.
        journal_name: name of the study, or of the single training.
    """
    # Workers first: what they import takes longer than all that comes before the first trial.
    executor = stack.enter_context(execution.executor(store_paths.workspace))
    workspace = store_paths.workspace
    tracker = MlflowTracker(
        workspace.journal(journal_name),
        store_paths.tracking_uri,
        workspace.artifacts,
        find_model=model_store_of(workspace, journal_name).find_model,
        user_store=None if experiment.family.factory is None else workspace.user_mlflow,
    )
    stack.callback(tracker.shut_down)
    tracker.start()
    return executor, tracker


def is_surely_valid(experiment: Experiment, execution: Execution, store_paths: StorePaths) -> bool:
    """Return whether the request can no longer be refused.

    It looks at no data, network, GPU or storage, so the answer comes at once, and the user can be
    told that the work is under way.

    Raises:
        RequestError: the request is surely invalid: the data suit no network of the experiment, or
            home can't be written.
    """
    store_paths.workspace.check()
    base = experiment.path.parent
    data, data_dir = experiment.data, store_paths.data_dir
    if data.is_user_data or not locate_source(data, data_dir, base).is_available:
        return False
    shape = read_input_shape(data, data_dir, base)
    assert shape is not None, "known and generated data sets have a known shape"
    experiment.check_input(shape)
    # Any other storage may turn out not to be reachable.
    return store_paths.has_own_storage and experiment.family.factory is None and not execution.gpus


def prepare_data(
    experiment: Experiment,
    store_paths: StorePaths,
    meanwhile: Callable[[], object] = lambda: None,
) -> PreparedData:
    """Prepare the experiment's data in a child process, and create home.

    Args:
        experiment: whose data.
        store_paths: where data are read and written.
        meanwhile: called while the child process works.

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
    experiment.check_input(data.input_shape)
    store_paths.workspace.create()
    return data


def supervise(
    plan: SearchPlan,
    trials: TrialSource,
    executor: Executor,
    journal: Journal,
    stop: StopRequest,
    on_stop: Callable[[], object] = lambda: None,
    closing_tags: Callable[[], Mapping[str, str]] = dict,
) -> RunStatus:
    """Run a plan and close the study.

    The workers are ended and the journal is closed after an exception too.

    Args:
        plan: what to do.
        trials: source of the trials.
        executor: of the workers.
        journal: of the study.
        stop: request of the user to stop; checked all the time.
        on_stop: called when such a request was seen, before the workers are ended.
        closing_tags: returns what the study shows, by MLflow tag; called when the search has ended.
    """
    status = RunStatus("failed", search_exit_code=1)
    try:
        Supervisor(plan, trials, executor, journal, stop).run()
        if stop:
            on_stop()
        status = RunStatus("finished")
    except SearchError as error:
        status = RunStatus("failed", str(error), 1)
    except BaseException:
        # The exception says more than a second failure would; the next start settles the rest.
        with suppress(Exception):
            journal.append(
                study_closed_event(status.closing, trials.best_trials(), plan.model_store)
            )
        raise
    finally:
        executor.close()
    if stop:
        status = RunStatus("interrupted", search_exit_code=stop.exit_code)
    try:
        _append_closing(status.closing, trials, plan.model_store, journal, closing_tags)
    except SearchError as error:
        # Of two failures, the first says more.
        failure = status.search_failure or str(error)
        status = RunStatus(status.closing, failure, status.search_exit_code or 1)
    return status


def _append_closing(
    closing: Closing,
    trials: TrialSource,
    model_store: ModelStore,
    journal: Journal,
    closing_tags: Callable[[], Mapping[str, str]],
) -> None:
    """Journal that the study is closed.

    Raises:
        SearchError: the journal can't be written, or the storage is away.
    """
    tags: Mapping[str, str] = {}
    try:
        tags = closing_tags()
    finally:
        # Whatever failed, the study is closed: the next sweep need not settle it.
        best_trials = trials.best_trials()
        journal.append(study_closed_event(closing, best_trials, model_store, tags))
